"""The truth as ASAP annotations, the XML that CAMELYON's slides come with."""

from collections.abc import Mapping, Sequence
from xml.etree import ElementTree as ET

from shapely.geometry import Polygon
from shapely.geometry.polygon import LinearRing

from wsi_pipeline.synth.outlines import without_holes

#: Annotation groups of every slide and their colours.
GROUPS = {"Tumor": "#F4FA58", "Exclusion": "#64FE2E"}
#: Groups of the further kinds by name of the kind, with their colours.
KIND_GROUPS = {"necrosis": ("Necrosis", "#F58231"), "mucin": ("Mucin", "#42D4F4")}


def asap_xml(planted: Mapping[str, Sequence[Polygon]]) -> bytes:
    """Write polygons as ASAP annotations.

    Args:
        planted: Polygons by kind in level-0 px, px edges at integers. The holes of the tumour
            become the group ``Exclusion``, as in CAMELYON. That group is cut out of the tumour
            alone, so other kinds are written in parts that have no holes.

    Returns:
        A UTF-8 XML document whose coordinates carry two decimals.
    """
    tumour = planted.get("tumour", ())
    rings = [("Tumor", shape.exterior) for shape in tumour]
    rings += [("Exclusion", hole) for shape in tumour for hole in shape.interiors]
    groups = dict(GROUPS)
    for kind, shapes in planted.items():
        if kind == "tumour":
            continue
        name, colour = KIND_GROUPS[kind]
        groups[name] = colour
        rings += [(name, part.exterior) for shape in shapes for part in without_holes(shape)]
    return _document(rings, groups)


def _document(rings: Sequence[tuple[str, LinearRing]], groups: Mapping[str, str]) -> bytes:
    """Rings with their groups, and the colour of every group."""
    root = ET.Element("ASAP_Annotations")
    annotations = ET.SubElement(root, "Annotations")
    for number, (group, ring) in enumerate(rings):
        annotation = ET.SubElement(
            annotations,
            "Annotation",
            Name=f"Annotation {number}",
            Type="Polygon",
            PartOfGroup=group,
            Color=groups[group],
        )
        coordinates = ET.SubElement(annotation, "Coordinates")
        for order, (x, y) in enumerate(list(ring.coords)[:-1]):
            ET.SubElement(coordinates, "Coordinate", Order=str(order), X=f"{x:.2f}", Y=f"{y:.2f}")
    listed = ET.SubElement(root, "AnnotationGroups")
    for name, colour in groups.items():
        group_element = ET.SubElement(listed, "Group", Name=name, PartOfGroup="None", Color=colour)
        ET.SubElement(group_element, "Attributes")
    ET.indent(root, "\t")
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"
