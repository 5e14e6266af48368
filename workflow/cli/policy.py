"""`licdesk policy`: whether a policy file can be used, why an application needs whom, what another file would change."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from workflow.cli.on_database import looking, said_plainly
from workflow.db.queries import applications
from workflow.domain.approvals import Quorum
from workflow.domain.policy import dead_rules, delivery_words
from workflow.services import policies, policy_review
from workflow.services.policies import policy_from_file
from workflow.settings import Database, load
from workflow.times import utc_now

app = typer.Typer(help="Who must approve what: check, explain and try out the policy file.", no_args_is_help=True)

PolicyFile = Annotated[Path | None, typer.Option("--policy", help="Another file than LICDESK_POLICY_FILE.", dir_okay=False)]


@app.command()
def check(
    file: Annotated[
        Path | None, typer.Argument(help="The policy; LICDESK_POLICY_FILE, or the shipped one, when not given.", dir_okay=False)
    ] = None,
    people: Annotated[
        bool, typer.Option("--people", help="Look in the desk's database whether today's people can meet it.")
    ] = False,
) -> None:
    """Read a policy and walk every combination. Exit status 1 and file, line and reason when it cannot be used."""
    with said_plainly():
        policy = policy_from_file(file or load(Database).policy_file)
    rules = "1 rule" if len(policy.rules) == 1 else f"{len(policy.rules)} rules"
    typer.echo(f"{policy.name}: {rules}, SHA-256 {policy.sha256}")
    for each in policy.delivery:
        typer.echo(delivery_words(each))
    for rule in dead_rules(policy):
        typer.echo(f"Line {rule.line}: rule {rule.id} can never apply. Change its conditions, or take it away.")
    if people:
        with looking() as session:
            gaps = policies.staffing_gaps(session, policy, utc_now())
        for gap in gaps:
            typer.echo(str(gap))
        if not gaps:
            typer.echo("The people of this desk can meet every rule.")


@app.command()
def explain(
    number: Annotated[str, typer.Argument(help="The application, for example APP-2026-0142.")],
    policy_file: PolicyFile = None,
) -> None:
    """Say which rules ask for whom in an application, in the rules' own words, and what is still missing."""
    with looking() as session:
        policy = policy_from_file(policy_file or load(Database).policy_file)
        told = policy_review.explain_application(session, policy, applications.get_application(session, number))
    typer.echo(f"{number}: {told.subject}.\n")
    for report in told.rules:
        typer.echo(f"{'applies' if report.applies else 'no':<8}{report.rule.id}: {report.rule.text}")
        typer.echo(f"{'':8}asks for {report.asks}" if report.applies else f"{'':8}because {'; '.join(report.because)}")
    typer.echo(f"\n{delivery_words(policy.delivery_to(told.subject.environment))}")
    typer.echo(f"Asked for when it was submitted: {_words(told.asked)}.")
    if told.policy_sha256 != policy.sha256:
        typer.echo(f"It was submitted under another policy, {told.policy_sha256}.")
        typer.echo(f"{policy.name} would ask for: {_words(told.now)}.")
    for each in told.decision.still_needed:
        typer.echo(f"Still needed: {each}")
    if not told.decision.still_needed:
        typer.echo("Every requirement is met.")


@app.command()
def simulate(
    file: Annotated[Path, typer.Argument(help="The policy to try.", dir_okay=False)],
    since: Annotated[str, typer.Option(help="How far back, in days: 90d.")] = "90d",
) -> None:
    """Decide past applications again under another policy, with the votes on record, and show what would differ."""
    found = re.fullmatch(r"([1-9][0-9]{0,4})d", since)
    if found is None:
        raise typer.BadParameter("Write days such as 90d.", param_hint="--since")
    with looking() as session:
        policy = policy_from_file(file)
        differences = list(policy_review.simulate(session, policy, utc_now() - timedelta(days=int(found[1]))))
    if not differences:
        typer.echo(f"Nothing would differ: every application of the last {found[1]} days is treated as it was.")
        return
    table = Table("Application", "Asked for", "Would ask for", "Would be", box=None)
    for each in differences:
        table.add_row(
            f"{each.number}\n{escape(str(each.subject))}",
            escape(_words(each.asked)),
            escape(_words(each.would_ask)),
            _outcome(each),
        )
    Console().print(table)


def _words(quorum: Quorum) -> str:
    if quorum.automatic:
        return "no person"
    groups = ", ".join(dict.fromkeys(each.wanted for each in quorum.requirements))
    return groups if quorum.distinct == 1 else f"{groups}, {quorum.distinct} different people"


def _outcome(difference: policy_review.Difference) -> str:
    if difference.was_approved == difference.would_be_approved:
        return "approved as well" if difference.was_approved else "waiting as well"
    if difference.would_be_approved:
        return "approved"
    return "not approved: " + escape(" ".join(difference.still_needed))
