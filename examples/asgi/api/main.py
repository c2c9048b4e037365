"""Routes with types: what they say is checked before they are called, and shown at /docs."""

from dataclasses import dataclass
from typing import List, Optional

from web import App, HTTPError

app = App(title="Conversions", version="1.0.0")

OFFSETS = {"celsius": (1.0, 273.15), "fahrenheit": (5 / 9, 459.67 * 5 / 9), "kelvin": (1.0, 0.0)}


@dataclass
class Reading:
    """One temperature, measured somewhere."""

    place: str
    value: float
    unit: str = "celsius"
    note: Optional[str] = None


@app.get("/units")
async def units() -> List[str]:
    """The units there are."""
    return sorted(OFFSETS)


@app.get("/convert")
async def convert(value: float, unit: str, to: str = "fahrenheit"):
    """A temperature in another unit."""
    return {"value": round(from_kelvin(to_kelvin(value, unit), to), 2), "unit": to}


@app.post("/readings/{station}", status=201)
async def add_reading(station: int, body: Reading):
    """A reading in kelvin, with the station it came from."""
    return {"station": station, "place": body.place, "kelvin": round(to_kelvin(body.value, body.unit), 2)}


def to_kelvin(value, unit):
    scale, offset = known(unit)
    kelvin = value * scale + offset
    if kelvin < 0:
        raise HTTPError(422, f"{value} {unit} is below absolute zero")
    return kelvin


def from_kelvin(kelvin, unit):
    scale, offset = known(unit)
    return (kelvin - offset) / scale


def known(unit):
    if unit not in OFFSETS:
        raise HTTPError(422, f"{unit!r} is no unit: use {', '.join(sorted(OFFSETS))}")
    return OFFSETS[unit]
