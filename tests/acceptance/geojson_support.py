"""What QuPath reads and writes, as a schema."""

from typing import Any

import jsonschema

RING = {
    "type": "array",
    "minItems": 4,
    "items": {
        "type": "array",
        "minItems": 2,
        "maxItems": 2,
        "items": {"type": "number", "minimum": 0},
    },
}
POLYGON = {"type": "array", "minItems": 1, "items": RING}
#: What QuPath 0.3 and later read and write.
QUPATH = {
    "type": "object",
    "required": ["type", "features"],
    "properties": {
        "type": {"const": "FeatureCollection"},
        "features": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["type", "id", "geometry", "properties"],
                "properties": {
                    "type": {"const": "Feature"},
                    "id": {
                        "type": "string",
                        "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$",
                    },
                    "geometry": {
                        "oneOf": [
                            {
                                "properties": {
                                    "type": {"const": "Polygon"},
                                    "coordinates": POLYGON,
                                },
                                "required": ["type", "coordinates"],
                            },
                            {
                                "properties": {
                                    "type": {"const": "MultiPolygon"},
                                    "coordinates": {
                                        "type": "array",
                                        "minItems": 2,
                                        "items": POLYGON,
                                    },
                                },
                                "required": ["type", "coordinates"],
                            },
                        ]
                    },
                    "properties": {
                        "type": "object",
                        "additionalProperties": False,
                        "required": ["objectType", "measurements", "isLocked"],
                        "properties": {
                            "objectType": {"enum": ["annotation", "tile"]},
                            "name": {"type": "string"},
                            "classification": {
                                "type": "object",
                                "required": ["name", "color"],
                                "properties": {
                                    "name": {"type": "string"},
                                    "color": {
                                        "type": "array",
                                        "minItems": 3,
                                        "maxItems": 3,
                                        "items": {"type": "integer", "minimum": 0, "maximum": 255},
                                    },
                                },
                            },
                            "measurements": {
                                "type": "object",
                                "additionalProperties": {"type": "number"},
                            },
                            "isLocked": {"type": "boolean"},
                            # Read and written since 0.5.
                            "metadata": {
                                "type": "object",
                                "additionalProperties": {"type": "string"},
                            },
                        },
                    },
                },
            },
        },
    },
}


def check_qupath(value: Any) -> None:
    """Fail unless QuPath would read it."""
    jsonschema.validate(value, QUPATH)
