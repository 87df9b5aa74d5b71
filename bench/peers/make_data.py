"""make_data.py DIR: the synthetic data of the workloads.

flat.npz: 100 sites of 600 rows of 784 numbers, ten classes; images.npz: 20 sites of 600 images 3x32x32, ten classes.
x = signal * prototype[class] + noise. flat.idx and images.idx name the site of each row for the plans' partition `file`.
"""
import sys
import numpy as np

SITE_ROWS = 600


def write(folder, name, sites, values, signal, seed):
    draw = np.random.default_rng(seed)
    prototypes = draw.standard_normal((10, values), dtype=np.float32)

    def samples(rows):
        labels = draw.integers(0, 10, rows).astype(np.uint8)
        return signal * prototypes[labels] + draw.standard_normal((rows, values), dtype=np.float32), labels

    rows = sites * SITE_ROWS
    (x, y), (test_x, test_y) = samples(rows), samples(10_000 if values == 784 else 2_000)
    np.savez(f"{folder}/{name}.npz", x=x, y=y, test_x=test_x, test_y=test_y)
    with open(f"{folder}/{name}.idx", "wb") as file:
        file.write(bytes([0, 0, 8, 1]) + rows.to_bytes(4, "big"))
        file.write(np.repeat(np.arange(sites, dtype=np.uint8), SITE_ROWS).tobytes())


if __name__ == "__main__":
    write(sys.argv[1], "flat", 100, 784, np.float32(0.1), 0)
    write(sys.argv[1], "images", 20, 3072, np.float32(0.1), 1)
