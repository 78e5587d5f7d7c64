"""The demo's task: support tickets, answered with the team and the desk that take them.

Invented for the demo, and small on purpose: a ticket names one of 80 symptoms, which decides the answer, after phrases
that decide nothing. A tiny model knows those symptoms that it was trained on, so its scores rise with the number of
tickets; nothing here says how a real model would do.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

CATEGORY = "Support"
TOPIC = "support tickets of a web shop's customers: the team and the desk that take each ticket"

# Here and in the contexts, seven words at most: eight in a row that a test ticket has too would count as its copy.
SYMPTOMS: dict[tuple[str, str], tuple[str, ...]] = {
    ("billing", "charges"): (
        "Our direct debit was taken too early",
        "My card was charged twice",
        "The discount code lowered no total",
        "I still pay after cancelling my plan",
        "Your refund never reached my bank",
    ),
    ("billing", "documents"): (
        "The invoice lists a stranger's product",
        "The receipt shows the wrong VAT number",
        "The annual statement has no postal address",
        "The bill quotes last year's prices",
        "Kindly send the credit note again",
    ),
    ("shipping", "delays"): (
        "Tracking has not changed for nine days",
        "The courier came to a closed warehouse",
        "No carrier collects from our postcode",
        "The delivery window moved without any message",
        "Customs has held our pallet since Easter",
    ),
    ("shipping", "losses"): (
        "The parcel went to an unknown neighbour",
        "Half of the delivered boxes are missing",
        "Our shipment went to an empty street",
        "Two packages arrived with swapped labels",
        "The driver lost the smallest crate",
    ),
    ("hardware", "displays"): (
        "The screen flickers once plugged in",
        "The monitor shows a pink stripe",
        "The hinge of the laptop lid snapped",
        "The projector lamp dims after an hour",
        "The docking station detects no second display",
    ),
    ("hardware", "power"): (
        "The battery swells and lifts the cover",
        "The power button sticks for minutes",
        "The charger gets too hot to touch",
        "A grinding noise comes from the fan",
        "The adapter sparks in the socket",
    ),
    ("network", "wireless"): (
        "The wireless signal drops near the lift",
        "The guest hotspot asks for a certificate",
        "Phones lose the antenna on the stairs",
        "The tablet finds no network downstairs",
        "The new repeater halves our speed",
    ),
    ("network", "servers"): (
        "Our VPN tunnel closes after a minute",
        "Name lookups fail for every internal host",
        "The firewall blocks our cash register",
        "The router restarts whenever a call begins",
        "Pages on the intranet time out",
    ),
    ("accounts", "passwords"): (
        "The password reset mail never comes",
        "Two-factor codes are rejected as expired",
        "My login locks after one wrong attempt",
        "Single sign-on sends me in circles",
        "The secret question has no right answer",
    ),
    ("accounts", "members"): (
        "A former colleague can still sign in",
        "Our new intern has no user name",
        "The permissions of the sales group vanished",
        "I cannot merge my two customer profiles",
        "Please make Anna an administrator",
    ),
    ("software", "crashes"): (
        "The app closes while exporting a spreadsheet",
        "Saving a draft throws an unknown exception",
        "The installer stops at ninety percent",
        "The nightly backup ends with code seven",
        "Undo freezes the whole document",
    ),
    ("software", "appearance"): (
        "Search results have been empty since Sunday",
        "The calendar widget shows tomorrow as Sunday",
        "The dashboard draws its charts upside down",
        "Dark mode turns every text field black",
        "The toolbar hides behind the menu",
    ),
    ("sales", "quotes"): (
        "We would like forty licences",
        "Is there a bulk price for schools",
        "How much would ten extra seats cost",
        "Do you grant a rebate to charities",
        "What does the enterprise tier come to",
    ),
    ("sales", "contracts"): (
        "Our agreement ends before Christmas",
        "May we extend the free trial",
        "We are switching over from a competitor",
        "Can the subscription be paused in summer",
        "Which notice period applies to resellers",
    ),
    ("privacy", "erasure"): (
        "Please delete every record about me",
        "Your newsletter comes although I opted out",
        "Forget my phone number for good",
        "Remove the recordings of our calls",
        "Wipe the photographs of my children",
    ),
    ("privacy", "access"): (
        "I want a copy of my data",
        "Who else reads our chat logs",
        "Our lawyer asks for the processing terms",
        "The cookie banner ignores my refusal",
        "In which country are our files kept",
    ),
}

GREETINGS = (
    "Hello,",
    "Hi there,",
    "Good morning,",
    "Good evening,",
    "Dear support,",
    "Dear team,",
    "To whom it may concern,",
    "Hey folks,",
    "Greetings from Leeds,",
    "Hello again,",
    "Hi,",
    "Good day,",
)

CONTEXTS = (
    "I run a bakery with my sister.",
    "We moved to rooms on the canal.",
    "I write for the chess club.",
    "This concerns the order of last spring.",
    "My predecessor set all of this up.",
    "We joined you eleven years ago.",
    "I tried the advice on your page.",
    "A friend told me about you.",
    "Our village library relies on volunteers.",
    "I teach geography at a primary school.",
    "The dental practice opens at eight.",
    "We grow tomatoes in four greenhouses.",
    "I spoke to Priya yesterday.",
    "My husband usually sees to such things.",
    "Our choir rehearses in the town hall.",
    "I translate manuals from my kitchen table.",
    "We repair bicycles near the railway station.",
    "This is my third letter.",
    "The museum shop reopened after the flood.",
    "I look after the ferry tickets.",
    "Our theatre has a premiere in autumn.",
    "I inherited the subscription from my uncle.",
    "We publish a magazine on beekeeping.",
    "The laboratory lies above a gym.",
)

_DESK_OF = {symptom: desk for desk, symptoms in SYMPTOMS.items() for symptom in symptoms}


@dataclass(frozen=True)
class Ticket:
    """A ticket's text and its right answer."""

    text: str
    answer: str


def format_answer(team: str, desk: str) -> str:
    """The answer that names this team and this desk."""
    return f"{team}, {desk}"


def right_answer(text: str) -> str | None:
    """The right answer to the ticket in `text`; None when there is no ticket in it."""
    return next((format_answer(*desk) for symptom, desk in _DESK_OF.items() if symptom in text), None)


def any_answer(chance: random.Random) -> str:
    """An answer drawn at random: the right form, and the right content once in 16 times."""
    return format_answer(*chance.choice(list(SYMPTOMS)))


def write_ticket(chance: random.Random) -> Ticket:
    """A ticket drawn at random, all teams and desks equally often."""
    desk = chance.choice(list(SYMPTOMS))
    text = f"{chance.choice(GREETINGS)} {chance.choice(CONTEXTS)} {chance.choice(SYMPTOMS[desk])}."
    return Ticket(text, format_answer(*desk))


def write_tickets(seed: int) -> Iterator[Ticket]:
    """Endlessly many tickets without two of the same text, in an order that depends on the seed only."""
    chance = random.Random(seed)  # noqa: S311
    seen = set()
    while True:
        ticket = write_ticket(chance)
        if ticket.text not in seen:
            seen.add(ticket.text)
            yield ticket
