"""The watchlist of the benchmarks: companies that 1 to 2 % of the recorded posts name."""

from __future__ import annotations

from schemas.watchlist import Brand

_NAMES = (
    "google apple amazon microsoft instagram netflix disney starbucks mcdonalds walmart target nike adidas toyota honda ford "
    "tesla boeing delta southwest uber airbnb samsung sony nintendo comcast verizon espn nascar spotify paypal visa mastercard "
    "pepsi coke heineken exxon shell chevron pfizer cvs walgreens costco ikea lego marvel pixar hbo hulu"
)
BRANDS = tuple(Brand(id=name, aliases=(name,), hashtags=(name,)) for name in _NAMES.split())
