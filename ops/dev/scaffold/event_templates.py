"""The texts of a new event's files; `$…` are filled in by `event.py`."""

from string import Template

MODULE = Template('''\
"""Events about `$noun` on `$topic`. They carry ids, amounts and names of fields, and no personal data."""

from moneyflow.events.topics import $constant
from moneyflow.platform.events.contract import Event
''')

CONTRACT = Template('''


class $contract(Event, type="$type", topic=$constant, subject="$subject"$own_key):
    """$does_begun."""

$fields''')

TOPIC = Template("""\
$constant = topic("$topic")
""")

TEST = Template('''\
"""`$type`: what its producer emits is what a consumer reads."""

import orjson
${imports}
from moneyflow.events.$noun import $contract
from moneyflow.platform.database import Database
from moneyflow.platform.events import envelope
from moneyflow.platform.events.emit import emit
from moneyflow.settings import AllSettings
from tests.support import outbox


def test_${test}_is_on_its_topic_under_its_key_as_it_was_emitted(settings: AllSettings, database: Database) -> None:
    event = $call

    with database.transaction() as session:
        emit(session, event)

    (sent,) = outbox.events(settings, "$topic")
    assert sent["subject"] == str(event.$subject)
    assert event.key() == str(event.$key)
    assert $contract.from_envelope(envelope.read(orjson.dumps(sent))) == event
''')
