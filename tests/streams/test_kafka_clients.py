from kafka.record import util


def test_checksums_of_records_are_computed_by_native_code():
    assert util.crc32c_c is not None  # `crc32c`; else it falls back, without a word, to a loop in Python
    assert util.calc_crc32c(b"123456789") == 0xE3069283
