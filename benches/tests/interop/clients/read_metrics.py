"""Reads the numbers of a loop as Prometheus does, and checks a few of them."""

import sys
import urllib.request

from prometheus_client.parser import text_string_to_metric_families

with urllib.request.urlopen(sys.argv[1], timeout=60) as response:
    assert response.headers.get_content_type() == "text/plain", response.headers
    text = response.read().decode()

families = {family.name: family for family in text_string_to_metric_families(text)}
assert len(families) > 30, sorted(families)
assert all(family.documentation for family in families.values())


def value(family, sample):
    [found] = [one.value for one in families[family].samples if one.name == sample]
    return found


assert families["eventwire_connections"].type == "gauge"
assert value("eventwire_connections", "eventwire_connections") == 1
assert families["eventwire_messages_received"].type == "counter"
assert value("eventwire_messages_received", "eventwire_messages_received_total") == 0

turns = families["eventwire_turn_seconds"]
assert turns.type == "histogram"
buckets = [one.value for one in turns.samples if one.name.endswith("_bucket")]
assert buckets == sorted(buckets), buckets
assert buckets[-1] == value("eventwire_turn_seconds", "eventwire_turn_seconds_count")
assert value("eventwire_turn_seconds", "eventwire_turn_seconds_sum") > 0
