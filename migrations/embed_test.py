#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""embed.py must refuse every folder of steps that could not be applied the same way twice."""
import pathlib
import subprocess
import sys
import tempfile
import unittest

EMBED = pathlib.Path(__file__).with_name("embed.py")


def embed(files, listed=None):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        for name, text in files.items():
            (folder / name).write_text(text)
        names = [str(folder / name) for name in (listed or files)]
        done = subprocess.run([sys.executable, EMBED, folder / "out.c", *names],
                              capture_output=True, text=True)
        return done.returncode, done.stderr, done.returncode == 0 and (folder / "out.c").read_text()


class Embed(unittest.TestCase):
    def refuses(self, words, files, listed=None):
        code, errors, _ = embed(files, listed)
        self.assertNotEqual(code, 0)
        self.assertIn(words, errors)

    def test_takes_shared_and_split_texts(self):
        code, errors, text = embed({"0001_a.sql": "SELECT 1;", "0002_b.sqlite.sql": "SELECT 2;",
                                    "0002_b.postgres.sql": "SELECT 3;"})
        self.assertEqual((code, errors), (0, ""))
        # printf 'SELECT 1;' | sha256sum, for both dialects
        self.assertEqual(text.count(
            "17db4fd369edb9244b9f91d9aeed145c3d04ad8ba6e95d06247f07a63527d11a"), 2)

    def test_refuses_a_gap(self):
        self.refuses("without a gap", {"0001_a.sql": "", "0003_c.sql": ""})

    def test_refuses_a_number_twice(self):
        self.refuses("is taken by", {"0001_a.sql": "", "0001_b.sql": ""})

    def test_refuses_a_missing_dialect(self):
        self.refuses("one for each dialect", {"0001_a.sqlite.sql": ""})

    def test_refuses_a_third_text(self):
        self.refuses("one for each dialect", {"0001_a.sql": "", "0001_a.sqlite.sql": ""})

    def test_refuses_a_forgotten_file(self):
        self.refuses("is not listed", {"0001_a.sql": "", "0002_b.sql": ""}, ["0001_a.sql"])

    def test_refuses_what_ends_the_transaction(self):
        for text in ("COMMIT;", "begin;", "SELECT 1;\n  rollback;", "VACUUM;",
                     "CREATE INDEX CONCURRENTLY x ON y (z);"):
            self.refuses("one transaction", {"0001_a.sql": text})

    def test_refuses_an_odd_name(self):
        self.refuses("names are", {"1_a.sql": ""})


if __name__ == "__main__":
    unittest.main()
