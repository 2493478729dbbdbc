"""Lines of an event stream become events."""

from wsi_pipeline.client.event_stream import Event, read_events


def read(text: str) -> list[Event]:
    return list(read_events(text.splitlines()))


def test_events_have_id_kind_and_data() -> None:
    text = (
        "retry: 2000\n\n"
        'id: 7\nevent: state\ndata: {"state": "running"}\n\n'
        ": still here\n\n"
        'id: 9\nevent: progress\ndata: {"tiles":\ndata: {"done": 3}}\n\n'
    )
    assert read(text) == [
        Event("7", "state", {"state": "running"}),
        Event("9", "progress", {"tiles": {"done": 3}}),
    ]


def test_what_is_cut_off_is_dropped() -> None:
    assert read('id: 1\nevent: state\ndata: {"a": 1}\n\nid: 2\nevent: state\ndata: {"a"') == [
        Event("1", "state", {"a": 1})
    ]


def test_ids_and_spaces_follow_the_standard() -> None:
    events = read("id:1\ndata:x\n\ndata:  two spaces\n\nid\ndata: none\n\n")
    assert events == [
        Event("1", "message", {"text": "x"}),
        Event("1", "message", {"text": " two spaces"}),
        Event("", "message", {"text": "none"}),
    ]
