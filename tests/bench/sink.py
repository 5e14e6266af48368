"""A mail server that takes everything and counts it: `python -m tests.bench.sink PORT`."""

import asyncio
import sys


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Just enough SMTP (RFC 5321) for a well-behaved client, so that the sink costs next to nothing."""
    writer.write(b"220 sink\r\n")
    while line := await reader.readline():
        match line[:4].upper():
            case b"EHLO":
                writer.write(b"250-sink\r\n250 8BITMIME\r\n")
            case b"DATA":
                writer.write(b"354 go on\r\n")
                while (await reader.readline()) != b".\r\n":
                    pass
                writer.write(b"250 2.0.0 taken\r\n")
            case b"QUIT":
                writer.write(b"221 bye\r\n")
                await writer.drain()
                break
            case _:
                writer.write(b"250 OK\r\n")
        await writer.drain()
    writer.close()


async def main(port: int) -> None:
    """Serves until it is killed."""
    server = await asyncio.start_server(_answer, "127.0.0.1", port, limit=1 << 22)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
