/* Progressive enhancement only: every page works without this file. No inline handlers, no eval.
   data-live="URL"        an event stream; each message says "changed", then the parts of the page are fetched again
   data-part (with id)    a part that is fetched again; a part somebody is typing in is left alone
   data-every="SECONDS"   fetches its part again on a timer
   data-filter            a form whose change fetches the page with the new query and swaps the part named there
   data-keep="PERSON"     a form that is filled in again when its session ended before it was sent; data-choose-again: not these
   data-checks="URL"      a form that is sent there while it changes; the answer replaces the part named data-into */
(function () {
  "use strict";
  var root = document.documentElement;
  var all = function (selector, within) { return Array.prototype.slice.call((within || document).querySelectorAll(selector)); };

  function isDark() { return root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches; }

  function toast(text) {
    var box = document.querySelector(".toasts"), t = document.createElement("div");
    if (!box) return;
    t.className = "toast"; t.textContent = text; box.append(t);
    setTimeout(function () { t.remove(); }, 6000);
  }

  function later(wait, action) {
    var timer;
    return function () { clearTimeout(timer); timer = setTimeout(action, wait); };
  }

  /* ---------- parts that are fetched again ---------- */
  function touched(part) {
    return part.contains(document.activeElement) && document.activeElement.matches("input,textarea,select") ||
      all("input,textarea,select", part).some(function (i) {
        if (i.type === "hidden") return false;
        if (i.type === "checkbox" || i.type === "radio") return i.checked !== i.defaultChecked;
        if (i.tagName === "SELECT") return all("option", i).some(function (o) { return o.selected !== o.defaultSelected && o.defaultSelected; });
        return i.value !== i.defaultValue;
      });
  }

  function swap(part, fresh) {
    if (part.isEqualNode(fresh) || touched(part)) return;
    var focused = part.contains(document.activeElement) ? document.activeElement.id : "";
    var open = all("details[open][id]", part).map(function (d) { return d.id; });
    part.replaceWith(fresh);
    open.forEach(function (id) { var d = document.getElementById(id); if (d) d.open = true; });
    if (focused) { var again = document.getElementById(focused); if (again) again.focus({preventScroll: true}); }
    prepare(fresh);
  }

  function refetch(ids, address) {  /* without an address nobody asked: the server must not take it for activity */
    return fetch(address || location.href, {headers: address ? {} : {"X-Background": "1"}, credentials: "same-origin"}).then(function (answer) {
      if (answer.redirected && new URL(answer.url).pathname !== new URL(address || location.href, location.href).pathname) { location.assign(location.href); throw new Error("signed out"); }
      if (!answer.ok) throw new Error(String(answer.status));
      return answer.text();
    }).then(function (text) {
      var page = new DOMParser().parseFromString(text, "text/html");
      ids.forEach(function (id) {
        var part = document.getElementById(id), fresh = page.getElementById(id);
        if (part && fresh) swap(part, document.adoptNode(fresh));
      });
    });
  }

  function parts() { return all("[data-part]").map(function (p) { return p.id; }); }

  function live(holder) {
    var url = holder.dataset.live, seen = holder.dataset.version || null, poll = null, source = null;
    function again() { refetch(parts()).catch(function () { /* the next event or poll tries again */ }); }
    function startPolling() { if (!poll) poll = setInterval(function () { if (!document.hidden) again(); }, 4000); }
    function stopPolling() { if (poll) { clearInterval(poll); poll = null; } }
    function open() {
      if (!window.EventSource) { startPolling(); return; }
      source = new EventSource(url);
      source.onmessage = function (e) {
        stopPolling();
        if (e.data !== seen) { seen = e.data; again(); }
      };
      source.onerror = startPolling;  /* the browser keeps trying to reconnect; a message ends the polling */
    }
    function close() { if (source) { source.close(); source = null; } stopPolling(); }
    /* A browser keeps few connections to one server: tabs nobody looks at must not hold them all. */
    document.addEventListener("visibilitychange", function () { close(); if (!document.hidden) open(); });
    addEventListener("pagehide", close);
    addEventListener("pageshow", function (e) { if (e.persisted) open(); });
    if (!document.hidden) open();
  }

  /* ---------- things a part may contain ---------- */
  function prepare(within) {
    all("[data-copy][hidden],[data-script][hidden]", within).forEach(function (b) { b.hidden = false; });
    all(".tablewrap", within).forEach(function (w) {
      if (w.scrollWidth > w.clientWidth + 1) {
        var heading = w.closest("section") && w.closest("section").querySelector("h2");
        w.tabIndex = 0; w.setAttribute("role", "group");
        w.setAttribute("aria-label", w.getAttribute("aria-label") || (heading ? heading.textContent : document.title));
      }
    });
    all("[data-drop] input[type=file]", within).forEach(function (i) {
      i.addEventListener("change", function () { if (i.files.length) i.form.requestSubmit(); });
    });
    all("[data-drop] .drop", within).forEach(function (d) {
      d.addEventListener("dragenter", function () { d.classList.add("over"); });
      d.addEventListener("dragover", function (e) { e.preventDefault(); d.classList.add("over"); });
      d.addEventListener("dragleave", function () { d.classList.remove("over"); });
      d.addEventListener("drop", function (e) {
        d.classList.remove("over");
        var i = d.querySelector("input[type=file]");
        if (!e.dataTransfer || !e.dataTransfer.files.length) return;
        e.preventDefault(); i.files = e.dataTransfer.files; i.form.requestSubmit();
      });
    });
  }

  /* ---------- clicks ---------- */
  document.addEventListener("click", function (e) {
    var b = e.target.closest("[data-theme-toggle],[data-copy],[data-open],[data-close],[data-print],[data-check-all],[data-reveal]");
    if (!b) return;
    if (b.hasAttribute("data-theme-toggle")) {
      root.dataset.theme = isDark() ? "light" : "dark";
      document.cookie = "theme=" + root.dataset.theme + ";path=/;max-age=31536000;samesite=lax";
    } else if (b.dataset.copy) {
      navigator.clipboard.writeText(b.dataset.copy).then(function () { toast(document.querySelector(".toasts").dataset.copied); });
    } else if (b.dataset.open) { document.getElementById(b.dataset.open).showModal();
    } else if (b.hasAttribute("data-close")) { b.closest("dialog").close();
    } else if (b.hasAttribute("data-print")) { print();
    } else if (b.dataset.checkAll) {
      all('input[name="' + b.dataset.checkAll + '"]').forEach(function (i) { i.checked = true; });
      if (b.closest("form")) b.closest("form").dispatchEvent(new Event("change", {bubbles: true}));
    } else if (b.dataset.reveal) {
      var secret = document.getElementById(b.dataset.reveal), shown = secret.type === "text";
      secret.type = shown ? "password" : "text"; b.setAttribute("aria-pressed", String(!shown));
    }
  });

  /* ---------- keyboard: next, previous, decision form, list of shortcuts ---------- */
  document.addEventListener("keydown", function (e) {
    if (document.body.hasAttribute("data-no-shortcuts") || e.target.matches("input,textarea,select,[contenteditable]") || e.metaKey || e.ctrlKey || e.altKey) return;
    var list = document.querySelector("[data-rove]");
    if (e.key === "?") { var s = document.getElementById("shortcuts"); if (s && !s.open) s.showModal(); }
    else if (list && (e.key === "j" || e.key === "k")) {
      var items = all("a", list), i = items.indexOf(document.activeElement);
      if (i < 0) i = items.findIndex(function (a) { return a.hasAttribute("aria-current"); });
      var next = items[Math.max(0, Math.min(items.length - 1, i + (e.key === "j" ? 1 : -1)))];
      if (next) next.focus();
    } else if (e.key === "c") { var f = document.querySelector(".decide input:not([type=hidden])"); if (f) { e.preventDefault(); f.focus(); } }
  });

  /* ---------- forms ---------- */
  document.addEventListener("submit", function (e) {
    var form = e.target, button = e.submitter;
    if (form.dataset.sent === "1") { e.preventDefault(); return; }
    if (form.method !== "post" || form.dataset.download !== undefined) return;
    form.dataset.sent = "1";
    if (button) button.setAttribute("aria-busy", "true");
  });
  addEventListener("pageshow", function () {  /* Back shows the page as it was left: make its forms usable again */
    all("form[data-sent]").forEach(function (f) { delete f.dataset.sent; });
    all("[aria-busy]").forEach(function (b) { b.removeAttribute("aria-busy"); });
  });

  /* What was sent when the session had ended waits in this tab until its person has signed in again, and is there on the same
     form. Any other page forgets it. Neither passwords nor a decision are kept: what is decided on may have changed. */
  var KEPT = "kept-form";
  function keepable(form) {
    return all("input,textarea,select", form).filter(function (i) {
      return i.name && !/^(hidden|password|file|submit)$/.test(i.type) && i.autocomplete !== "one-time-code" && !i.closest("[data-choose-again]");
    });
  }
  function on(i) { return i.type === "checkbox" || i.type === "radio" ? i.checked : i.value; }
  function keep(form) {
    var fields = keepable(form).map(function (i) { return [i.name, i.type === "checkbox" || i.type === "radio" ? i.value : null, on(i)]; });
    sessionStorage.setItem(KEPT, JSON.stringify({person: form.dataset.keep, action: form.getAttribute("action"), fields: fields}));
  }
  function fillAgain() {
    var kept = JSON.parse(sessionStorage.getItem(KEPT) || "null");
    if (!kept) return;
    if (document.querySelector('form[action^="/sign-in"]')) { kept.signedOut = true; sessionStorage.setItem(KEPT, JSON.stringify(kept)); return; }
    sessionStorage.removeItem(KEPT);
    all("form[data-keep]").forEach(function (form) {
      if (!kept.signedOut || kept.person !== form.dataset.keep || kept.action !== form.getAttribute("action")) return;
      keepable(form).forEach(function (i) {
        var choice = i.type === "checkbox" || i.type === "radio";
        var found = kept.fields.find(function (f) { return f[0] === i.name && f[1] === (choice ? i.value : null); });
        if (found && choice) i.checked = found[2]; else if (found) i.value = found[2];
      });
      form.dispatchEvent(new Event("change", {bubbles: true}));
      toast(form.dataset.kept);
    });
  }
  document.addEventListener("submit", function (e) {
    if (!e.defaultPrevented && e.target.dataset.keep) { try { keep(e.target); } catch (full) { /* a browser that keeps nothing */ } }
  });
  try { fillAgain(); } catch (refused) { /* the same */ }

  all("form[data-filter]").forEach(function (form) {
    var apply = function () {
      var query = new URLSearchParams();
      new FormData(form).forEach(function (value, name) { if (value) query.append(name, value); });
      var address = form.getAttribute("action") + (String(query) ? "?" + query : "");
      history.replaceState(null, "", address);
      refetch(form.dataset.filter.split(" "), address).catch(function () { location.assign(address); });
    };
    form.addEventListener("change", apply);
    form.addEventListener("input", later(300, apply));
    form.addEventListener("submit", function (e) { e.preventDefault(); apply(); });
    all("[data-without-script]", form).forEach(function (b) { b.hidden = true; });
  });

  all("form[data-checks]").forEach(function (form) {
    var round = 0;
    var ask = later(400, function () {
      var mine = ++round;
      fetch(form.dataset.checks, {method: "POST", body: new FormData(form), credentials: "same-origin"}).then(function (answer) {
        if (!answer.ok) throw new Error(String(answer.status));
        return answer.text();
      }).then(function (text) {
        if (mine !== round) return;  /* an older answer that came late */
        var page = new DOMParser().parseFromString(text, "text/html");
        form.dataset.into.split(" ").forEach(function (id) {
          var part = document.getElementById(id), fresh = page.getElementById(id);
          if (part && fresh) swap(part, document.adoptNode(fresh));
        });
      }).catch(function () { /* the server checks again when the form is sent */ });
    });
    form.addEventListener("input", ask);
    form.addEventListener("change", ask);
  });

  /* a period of whole months fills in the last day; typing a last day goes back to "as dated" */
  function lastDay(first, months) {
    var d = new Date(first + "T00:00:00Z"), day = d.getUTCDate();
    if (isNaN(d)) return "";
    d.setUTCDate(1); d.setUTCMonth(d.getUTCMonth() + months);
    d.setUTCDate(Math.min(day, new Date(Date.UTC(d.getUTCFullYear(), d.getUTCMonth() + 1, 0)).getUTCDate()) - 1);
    return d.toISOString().slice(0, 10);
  }
  function fillLastDay() {
    var pill = document.querySelector("[data-months]:checked"), first = document.getElementById("first_day"), last = document.getElementById("last_day");
    if (pill && first && last && Number(pill.dataset.months)) last.value = lastDay(first.value, Number(pill.dataset.months)) || last.value;
  }
  all("[data-months],#first_day").forEach(function (i) { i.addEventListener("change", fillLastDay); });
  all("#last_day").forEach(function (i) { i.addEventListener("input", function () { var free = document.querySelector('[data-months="0"]'); if (free) free.checked = true; }); });

  all("[data-every]").forEach(function (part) {
    setInterval(function () { if (!document.hidden && part.id) refetch([part.id]).catch(function () {}); }, Number(part.dataset.every) * 1000);
  });

  prepare(document);
  all("[data-live]").slice(0, 1).forEach(live);
  var err = document.getElementById("errsum");
  if (err) err.focus();
})();
