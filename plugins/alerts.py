"""Send alerts by Airflow's notifiers, each to the connection of a channel.

A channel that does not take a message is told again at the next look, and hinders no other. What a message
says comes from data and from people, so that Airflow's templates are kept off it: the notifiers' `notify` is
called as it is, which renders none.
"""

import hashlib
import html
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urljoin

from airflow.sdk import BaseHook, BaseNotifier, Connection
from airflow.sdk.configuration import conf
from airflow.sdk.exceptions import AirflowException

from plugins.failures import StepInvalid
from plugins.pages.links import report_page
from tasks.contracts import Trouble
from tasks.monitoring.alerts import records
from tasks.monitoring.alerts.due import due, forgotten
from tasks.monitoring.alerts.message import TITLES, Message, compose
from tasks.settings import separated, settings

log = logging.getLogger(__name__)

Notifiers = Callable[[Message], Sequence[BaseNotifier]]


@dataclass(frozen=True)
class Channel:
    """Whom alerts are sent to: an Airflow connection, and how a message becomes what its notifiers send."""

    name: str
    notifiers: Notifiers

    def send(self, message: Message) -> None:
        """Hand a message over; returns once it was taken."""
        for notifier in self.notifiers(message):
            notifier.notify({})


def channels() -> list[Channel]:
    """The channels of the settings.

    Raises:
        StepInvalid: One is no connection of Airflow's, or of a type that no alert can be sent by.
    """
    return [channel(name) for name in separated(settings().alerts)]


def send_what_is_due(to: list[Channel], now: datetime | None = None) -> list[str]:
    """Tell each channel what it has to be told, a message a model, and return the titles of what was sent.

    Raises:
        AirflowException: A channel did not take a message; the others were told all the same.
    """
    now = now or datetime.now(UTC)
    sent, faults = [], []
    for model in records.everyone():
        for channel in to:
            try:
                sent += _tell(channel, model, now)
            except Exception as error:  # whatever a notifier raises
                log.exception("%s was not told of %s.", channel.name, model)
                faults.append(f"{channel.name} did not take the alert of {model} ({error}).")
    if faults:
        raise AirflowException(f"{' '.join(faults)} It is tried again in a minute.")
    return sent


def _tell(channel: Channel, model: str, now: datetime) -> list[str]:
    """Send one model's message, and write down that it was taken."""
    troubles, silences = records.open_troubles(model, now), records.silences_of(model, now)
    told = records.told_of(channel.name, model)
    remind_after = timedelta(hours=settings().alerts_remind_hours)
    items = due(troubles, told, silences, now, remind_after)
    message = compose(model, items, links, model_page(model)) if items else None
    if message:
        channel.send(message)
    over = forgotten(troubles, told, silences)
    if message or over:
        records.mark(channel.name, model, items, over, now)
    return [message.title] if message else []


def links(trouble: Trouble) -> list[str]:
    """The pages about a trouble: the check's own, and the run that decided it."""
    base = _base()
    pages = []
    if trouble.page_url and (page := report_page(trouble.page_url)):
        pages.append(urljoin(base, page))
    if trouble.step:
        dag, run, *task = trouble.step.split("/")[:3]
        tasks = f"/tasks/{quote(task[0])}" if task else ""
        pages.append(f"{base}dags/{quote(dag)}/runs/{quote(run, safe='')}{tasks}")
    return pages


def model_page(name: str) -> str | None:
    """The page of a model; None of a table, whose files were ingested."""
    is_model = (settings().models / name / "pipeline.yaml").is_file()
    return f"{overview_page()}{quote(name)}" if is_model else None


def overview_page() -> str:
    """The page of all models."""
    return f"{_base()}perennial/models/"


def _base() -> str:
    return str(conf.get("api", "base_url", fallback="")).rstrip("/") + "/"


def channel(name: str) -> Channel:
    """The channel of a connection.

    Raises:
        StepInvalid: It is none of Airflow's, or of a type that no alert can be sent by.
    """
    try:
        connection = BaseHook.get_connection(name)
    except Exception as error:
        raise StepInvalid(
            f"PERENNIAL_ALERTS names {name!r}, which is no connection of Airflow's ({error}). Make it in "
            f"Airflow's pages (Admin, Connections), or set AIRFLOW_CONN_{name.upper()}."
        ) from error
    make = KINDS.get(connection.conn_type)
    if make is None:
        raise StepInvalid(
            f"PERENNIAL_ALERTS names the connection {name!r} of the type {connection.conn_type!r}. Alerts go "
            f"by {', '.join(KINDS)}."
        )
    return Channel(name, make(name, connection))


def _mail(name: str, connection: Connection) -> Notifiers:
    to = connection.extra_dejson.get("to")
    if not to:
        raise StepInvalid(
            f'The connection {name!r} does not say whom to write to. Add "to" to its extra: '
            '{"from_email": "perennial@example.org", "to": "team@example.org"}.'
        )

    def notifiers(message: Message) -> list[BaseNotifier]:
        from airflow.providers.smtp.notifications.smtp import SmtpNotifier

        mail = SmtpNotifier(
            smtp_conn_id=name,
            to=to,
            subject=message.title,
            html_content=f"<pre style='white-space: pre-wrap'>{html.escape(message.text)}</pre>",
            custom_headers={"X-Perennial-Alert": message.key},
        )
        return [mail]

    return notifiers


def _slack(name: str, _connection: Connection) -> Notifiers:
    def notifiers(message: Message) -> list[BaseNotifier]:
        from airflow.providers.slack.notifications.slack_webhook import SlackWebhookNotifier

        text = _for_slack(f"*{message.title}*\n{message.text}")
        return [SlackWebhookNotifier(slack_webhook_conn_id=name, text=text)]

    return notifiers


def _for_slack(text: str) -> str:
    """Without its three characters of control, so that data mentions nobody."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _webhook(name: str, connection: Connection) -> Notifiers:
    # Airflow itself waits for ever, and with it everybody who is told after this one.
    patience = connection.extra_dejson.get("timeout", PATIENCE_SECONDS)

    def notifiers(message: Message) -> list[BaseNotifier]:
        from airflow.providers.http.notifications.http import HttpNotifier

        return [HttpNotifier(http_conn_id=name, json=as_json(message), extra_options={"timeout": patience})]

    return notifiers


def as_json(message: Message) -> dict[str, Any]:
    """What a webhook gets; `text` is what chats show of it."""
    return {
        "id": message.key,
        "model": message.model,
        "title": message.title,
        "text": f"{message.title}\n{message.text}",
        "page": message.page,
        "alerts": list(message.items),
    }


def _pagerduty(name: str, connection: Connection) -> Notifiers:
    if not connection.password:
        raise StepInvalid(
            f"The connection {name!r} has no integration key. Give it as its password: that of a service of "
            "PagerDuty's with the integration Events API V2."
        )

    def notifiers(message: Message) -> list[BaseNotifier]:
        from airflow.providers.pagerduty.notifications.pagerduty import PagerdutyNotifier

        return [
            PagerdutyNotifier(pagerduty_events_conn_id=name, **as_event(item, message.page))
            for item in message.items
        ]

    return notifiers


def as_event(item: dict[str, Any], page: str | None) -> dict[str, Any]:
    """What PagerDuty gets: an event of each alert, which opens an incident, is part of the one that is open,
    or resolves it.
    """
    is_over = item["kind"] == "resolved"
    title = f"[Perennial] {item['model']}: {TITLES[item['reason']]}"
    links = [{"href": link, "text": "where to look"} for link in item["links"]]
    whole = [{"href": page, "text": "all about it"}] if page else []
    return {
        "action": "resolve" if is_over else "trigger",
        "dedup_key": _incident(item),
        "summary": f"{title}. {item['why']}"[:MOST_OF_SUMMARY],
        "severity": "critical" if item["reason"] in CRITICAL else "warning",
        "source": settings().installation,
        "component": item["model"],
        "class_type": item["reason"],
        "custom_details": {key: item[key] for key in DETAILS if item.get(key)},
        "links": [*links, *whole],
    }


def _incident(item: dict[str, Any]) -> str:
    """Which incident an alert is part of, the same from its first event to its last."""
    about = "\n".join([settings().installation, item["model"], item["subject"]])
    return f"perennial-{hashlib.sha256(about.encode()).hexdigest()[:32]}"


PATIENCE_SECONDS = 10
"""How long a webhook may say nothing, where its connection's extra has no `timeout`."""
CRITICAL = {"incident", "stopped", "label_incident", "rollback", "silent_loop"}
"""The reasons for which somebody may be woken: what serves may be wrong, or nothing looks any more."""
DETAILS = ("subject", "since", "version", "kinds", "next_step", "entry", "step")
MOST_OF_SUMMARY = 1024
"""Characters that PagerDuty takes."""


KINDS: dict[str, Callable[[str, Connection], Notifiers]] = {
    "smtp": _mail,
    "slackwebhook": _slack,
    "http": _webhook,
    "pagerduty_events": _pagerduty,
}
