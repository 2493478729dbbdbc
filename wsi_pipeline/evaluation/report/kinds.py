"""The kinds of metastasis as the report calls them."""

#: By the names that tables have for them.
KINDS = {
    "normal": "normal",
    "itc": "isolated tumour cells",
    "micro": "micro",
    "macro": "macro",
    "tumour": "tumour",
}
