"""`python -m ops.dev.bench.peers.faststream_app SINK RECORDS`: FastStream's Kafka subscriber that does the same insert.

As its users write one: a function that gets one message, with the defaults of broker and subscriber, which acknowledge
a message before it is handled.
"""

import asyncio
import sys

from faststream import FastStream
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.security import SASLScram512

from ops.dev.bench.peers.backlog import Backlog, Meter


async def _main(name: str, number: int) -> None:
    backlog, meter = Backlog(name), Meter(number)
    options, database, sink = backlog.client_options, backlog.database(), backlog.sink
    security = SASLScram512(username=options["sasl_plain_username"], password=options["sasl_plain_password"])
    broker = KafkaBroker(options["bootstrap_servers"], security=security)
    application = FastStream(broker)

    @broker.subscriber(*backlog.topics, group_id=backlog.group, auto_offset_reset="earliest")
    def handle(message: KafkaMessage) -> None:
        if meter.is_full:
            return
        assert not isinstance(message.raw_message, tuple), "the subscriber takes single messages"
        with database.transaction() as session:
            sink.write(session, [backlog.record(message.raw_message)])
        meter.add(1)
        if meter.is_full:
            application.exit()

    await application.run()
    database.close()
    print(meter.line(), flush=True)


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2])))
