"""What is known of the series of the data pack: licences, and from which day on they are only ever forecast."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class Source:
    """One file.

    Attributes:
        judged_from: first day that is only ever forecast.
        licence: of the data, with where it came from.
        family: files of one name here are not independent: who never saw one must not have seen the others.
    """

    judged_from: date
    licence: str
    family: str


_CTA = "Chicago Data Portal (CTA daily boardings), City of Chicago open data terms; no SPDX licence stated"
_R = "copy from a GPL>=2 R package"
SOURCES = {
    "cta_rail": Source(date(2019, 3, 1), _CTA, "cta"),
    "cta_bus": Source(date(2019, 3, 1), _CTA, "cta"),
    "us_births_1969_1988": Source(date(1987, 1, 1), f"US NCHS, government data; {_R}", "births"),
    "us_births_2000_2014_ssa": Source(date(2012, 1, 1), "SSA by way of FiveThirtyEight, CC BY 4.0", "births"),
    "saugeen_river_flow": Source(date(1977, 1, 1), f"Environment Canada; {_R}, unclear", "saugeen"),
    "nn5_daily": Source(date(1998, 1, 26), "NN5 competition; copy from a GPL-3 R package, unclear", "nn5"),
    "wiki_log_pageviews_peyton_manning": Source(date(2014, 1, 1), "Wikipedia page views; MIT", "wiki"),
    "seattle_temp_max": Source(date(2014, 1, 1), "NOAA; US public domain", "seattle"),
    "bike_sharing_cnt": Source(date(2012, 7, 1), "UCI Bike Sharing; CC BY 4.0", "bike"),
}
