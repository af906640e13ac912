from frankenstein.networks.accuracy import below_chance_warning, below_chance_warnings


def test_a_network_that_has_learned_nothing_is_told_of():
    assert below_chance_warning(0.15, 0.1, images=1000) == []
    (line,) = below_chance_warning(0.11, 0.1, images=1000)
    assert line.startswith("the network (11.00 %) is not clearly above the most frequent answer (1")


def test_a_sender_or_a_receiver_that_learned_nothing_is_named():
    scores = {"accuracy/sender": 0.1, "accuracy/receiver": 0.9, "accuracy/most_frequent": 0.1}
    (line,) = below_chance_warnings(scores, 1000)
    assert line == (
        "the sender (10.00 %) is not clearly above the most frequent answer (10.00 %): it has "
        "learned nothing that shows; take the data set that it was trained on, or train it for "
        "more epochs, with another learning rate, or by adam"
    )
    outside = below_chance_warnings(scores, 1000, {"sender": {"dataset": None, "image_size": 8}})[0]
    assert "shows; say how it sees images, by `normalize` and `size` or by `prep" in outside
    assert below_chance_warnings({**scores, "accuracy/sender": 0.8}, 1000) == []
    assert below_chance_warnings({"accuracy/sender": 0.1}, 1000) == []  # what is chance?
    assert len(below_chance_warnings({**scores, "accuracy/receiver": 0.1}, 1000)) == 2
