"""The model of real lymph-node tissue: an ImageNet trunk and a head fitted on real patches."""

#: The package's name in the models folder.
LYMPH_NODE = "lymph-node"
#: Bump with every new head or layout; packages built earlier are then built anew.
LYMPH_NODE_VERSION = "2"
