"""The truth as ASAP annotations, the XML that CAMELYON's slides come with."""

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from shapely.geometry import Polygon

#: Annotation groups and their colours.
GROUPS = {"Tumor": "#F4FA58", "Exclusion": "#64FE2E"}


def asap_xml(tumour: Sequence[Polygon]) -> bytes:
    """Write polygons as ASAP annotations.

    Args:
        tumour: Polygons in level-0 px, px edges at integers; their holes become the group
            ``Exclusion``.

    Returns:
        A UTF-8 XML document whose coordinates carry two decimals.
    """
    root = ET.Element("ASAP_Annotations")
    annotations = ET.SubElement(root, "Annotations")
    rings = [("Tumor", shape.exterior) for shape in tumour]
    rings += [("Exclusion", hole) for shape in tumour for hole in shape.interiors]
    for number, (group, ring) in enumerate(rings):
        annotation = ET.SubElement(
            annotations,
            "Annotation",
            Name=f"Annotation {number}",
            Type="Polygon",
            PartOfGroup=group,
            Color=GROUPS[group],
        )
        coordinates = ET.SubElement(annotation, "Coordinates")
        for order, (x, y) in enumerate(list(ring.coords)[:-1]):
            ET.SubElement(coordinates, "Coordinate", Order=str(order), X=f"{x:.2f}", Y=f"{y:.2f}")
    groups = ET.SubElement(root, "AnnotationGroups")
    for name, colour in GROUPS.items():
        group_element = ET.SubElement(groups, "Group", Name=name, PartOfGroup="None", Color=colour)
        ET.SubElement(group_element, "Attributes")
    ET.indent(root, "\t")
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"
