"""General English and business vocabulary of the built-in analyst.

Words that people use for the same thing, words that carry no subject, and what a word says about how
a figure behaves (added up or averaged, good when high or low). It holds nothing about any one data set:
names of tables and columns are matched against these by `words`.
"""

from __future__ import annotations

SAME = (
    "revenue sales turnover income takings proceeds",
    "cost expense expenditure spend spending",
    "profit margin earnings gain",
    "price fare fee charge",
    "price close closing",
    "customer client buyer shopper",
    "user member subscriber visitor",
    "order purchase transaction",
    "product item article sku goods merchandise",
    "employee staff worker colleague personnel",
    "company firm business organisation organization enterprise",
    "airline carrier operator",
    "airport airfield",
    "flight trip journey",
    "plane aircraft airplane jet",
    "car vehicle automobile auto",
    "maker manufacturer brand make",
    "city town municipality",
    "country nation",
    "region area territory zone",
    "region continent",
    "state province",
    "place location site spot",
    "delay lateness late overdue tardy",
    "cancel cancellation cancelled canceled scrapped",
    "duration runtime elapsed",
    "distance mileage",
    "speed velocity pace",
    "rain rainfall precipitation",
    "temperature heat warmth cold",
    "wind breeze",
    "humidity moisture",
    "population inhabitants residents people",
    "birth fertility",
    "gdp wealth",
    "stock share security ticker",
    "unemployment jobless joblessness",
    "job employment",
    "weight mass",
    "consumption usage use",
    "kind type category class sort",
    "destination target",
    "origin source",
    "departure leaving outbound",
    "arrival landing inbound",
    "rating score grade stars",
    "quantity units volume",
    "discount rebate markdown",
    "delivery shipping shipment",
    "refund return",
    "department division",
    "salary wage pay compensation",
    "film movie picture",
    "gender sex",
    "power horsepower",
    "mpg mileage economy",
    "count number tally",
    "latitude lat",
    "longitude lon lng long",
    "complaint ticket issue case",
    "supplier vendor",
    "shop store outlet branch",
    "segment group cohort",
)
"""Groups of words for one idea, one group a line."""

EMBRACES = {
    "weather": "temperature rain precipitation snow wind visibility humidity pressure",
    "performance": "revenue profit delay score rating",
    "finance": "revenue cost profit",
    "demographics": "population age gender income",
}
"""Words for a whole field, with the figures that a person means by it, the most telling first."""

ADDED_UP = (
    "revenue sales turnover amount total cost expense spend profit quantity units volume count number rain rainfall "
    "precipitation snow snowfall production generation output consumption passengers visits clicks orders "
    "wounds deaths death cases births disease goals medals hours minutes_worked emissions"
).split()
"""A figure of this kind is summed over rows."""

HELD = (
    "population balance inventory headcount employment stock level backlog subscribers capacity residents inhabitants"
).split()
"""A figure of this kind is a level at a point in time: summed over things, never over time."""

AVERAGED = (
    "average mean rate ratio share percent percentage pct index score rating price delay temperature humidity wind "
    "pressure visibility speed age duration length width height weight distance expectancy fertility temp median "
    "wage salary efficiency mpg economy horsepower acceleration displacement per capita yield time change return"
).split()
"""A figure of this kind is averaged over rows."""

GOOD_LOW = (
    "delay lateness cancellation cancel cancelled canceled cost expense complaint error defect churn unemployment "
    "refund return failure fault bug incident accident crime pollution emission mortality death disease wait backlog debt loss"
).split()
"""Less of it is better."""

GOOD_HIGH = (
    "revenue sales profit margin rating score satisfaction expectancy growth retention conversion yield efficiency income quality"
).split()
"""More of it is better."""

CALENDAR = "year month day date week quarter hour minute weekday time period season".split()

SILENT = frozenset(
    """
    a an the this that these those it its their there our my your his her we i you they he she me us them
    is are was were be been being am do does did done doing have has had having will would can could should may might must shall
    and or but not no nor so if then than as at by for from in into of off on onto out over per to up with within without about across
    against along around between during through under until upon via vs versus since after before each every any all both either
    some much many more most less least few lot lots very quite really just only also too again ever still even
    what which who whom whose when where why how
    show display give tell see view look find get make create build draw plot chart graph visualise visualize want need like please let
    help explore analyse analyze analysis report reports reporting dashboard dashboards overview summary summarise summarize picture insight insights breakdown
    break down split compare comparison comparing compared data dataset datasets table tables figure figures number numbers
    metric metrics measure measures kpi kpis statistic statistics stats information info detail details list
    trend trends trending change changes changed changing develop developed development evolve evolved evolution history historical going gone grow
    grew growth increase increased decrease decreased rise risen fall fallen move moved happen happened happening
    top bottom best worst highest lowest biggest smallest largest greatest fewest longest shortest busiest
    high low big small large great good bad better worse main key major overall whole entire general typical usual common
    average avg mean median total sum count maximum minimum max min rate share percentage percent proportion ratio distribution histogram
    spread range relationship correlation correlate correlated affect affects depend depends influence impact effect link linked related relate relation
    thing things one ones two three way ways same different other others new old recent latest last past first next current now today
    ok okay thanks thank hi hello hey could kindly quickly simple simply nice different various several
    go goes come comes keep keeps use used using put set take taken work works run runs
    across rank ranked ranking sorted sort based basis terms term regarding concerning respect
    question answer know understand idea exactly roughly respectively together combined separately
    monthly weekly daily yearly annual annually quarterly hourly
    fast faster slow slower early earlier late later long longer short shorter
    often always never usually sometimes frequently mostly rarely
    live lives living lived actually experience experienced occur occurred
    """.split()
)
"""Words that name no subject."""

IRREGULAR = frozenset(
    """flew flown sold bought made paid came went took taken gave given got spent ran began brought built chose drove kept led left lost met sent
    stood told won wrote grown grew fell rose""".split()
)
"""Verbs whose past does not end in -ed: a word that is left out where it names nothing."""

MONEY = frozenset(
    "revenue sale sales turnover income takings proceed proceeds spend spending cost expense expenditure money amount value worth".split()
)
"""Words for money, whatever its column is called."""

READ_AT_PLACES = "rain rainfall precipitation snow snowfall".split()
"""Amounts that stations measure: adding two stations' rain up is no rainfall."""

SOFT = frozenset(
    """value values time times level levels amount amounts size sizes code codes name names type types record records row rows
    case cases index status date dates day days month months year years week weeks quarter quarters hour hours""".split()
)
"""Words that help to name a column beside another word, and name nothing alone."""

MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan", "february feb", "march mar", "april apr", "may", "june jun", "july jul",
            "august aug", "september sep sept", "october oct", "november nov", "december dec",
        ),
        start=1,
    )
    for name in names.split()
}  # fmt: skip

NUMBERS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9, "ten": 10, "twelve": 12, "fifteen": 15, "twenty": 20, "fifty": 50, "hundred": 100,
}  # fmt: skip

UNITS = {
    "minute": ("min", "minutes"), "second": ("s", "seconds"), "hour": ("h", "hours"),
    "mile": ("mi", "miles"), "kilometre": ("km", "kilometres"), "kilometer": ("km", "kilometres"), "km": ("km", "kilometres"),
    "inch": ("in", "inches"), "millimetre": ("mm", "millimetres"), "millimeter": ("mm", "millimetres"), "mm": ("mm", "millimetres"),
    "feet": ("ft", "feet"), "foot": ("ft", "feet"), "metre": ("m", "metres"), "meter": ("m", "metres"),
    "mph": ("mph", "miles an hour"), "celsius": ("°C", "°C"), "fahrenheit": ("°F", "°F"), "percent": ("%", "percent"),
    "dollar": ("$", "dollars"), "usd": ("$", "dollars"), "euro": ("€", "euros"), "eur": ("€", "euros"), "pound": ("lb", "pounds"), "lbs": ("lb", "pounds"),
    "kilogram": ("kg", "kilograms"), "kg": ("kg", "kilograms"), "gram": ("g", "grams"), "millibar": ("mbar", "millibars"),
    "year": ("years", "years"), "day": ("days", "days"), "knot": ("kn", "knots"), "gallon": ("gal", "gallons"),
    "mwh": ("MWh", "megawatt-hours"), "kwh": ("kWh", "kilowatt-hours"), "gwh": ("GWh", "gigawatt-hours"),
}  # fmt: skip
"""Words for a unit in a column's description: (short form, plural)."""
