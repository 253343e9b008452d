# The peers of "penstock load bench". Reads lines from standard input and answers each with one.
#
#   image PATH OFFSET BYTES X Y WIDTH HEIGHT MIRRORED   (tab-separated; no answer)
#   size N                                              (no answer)
#   peers                -> NAME, a tab, and "ok" or why not; one line a peer, then an empty line
#   run NAME FIRST LAST  -> seconds of processor time
#   clear                -> forgets the images; no answer
import io
import sys
import time

MEAN = [0.485, 0.456, 0.406]
DEVIATION = [0.229, 0.224, 0.225]

images = []
size = 224


def read(image):
    with open(image[0], "rb") as file:
        file.seek(image[1])
        return file.read(image[2])


def with_pillow():
    from PIL import Image
    import torch
    import torchvision.transforms.functional as F

    torch.set_num_threads(1)

    def one(image):
        _, _, _, x, y, width, height, mirrored = image
        picture = Image.open(io.BytesIO(read(image))).convert("RGB")
        picture = F.resized_crop(picture, y, x, height, width, [size, size])
        if mirrored:
            picture = F.hflip(picture)
        return F.normalize(F.to_tensor(picture), MEAN, DEVIATION)

    return one


def with_torchvision_io():
    import torch
    import torchvision.io
    import torchvision.transforms.functional as F

    torch.set_num_threads(1)

    def one(image):
        _, _, _, x, y, width, height, mirrored = image
        encoded = torch.frombuffer(bytearray(read(image)), dtype=torch.uint8)
        picture = torchvision.io.decode_jpeg(encoded, torchvision.io.ImageReadMode.RGB)
        picture = F.resized_crop(picture, y, x, height, width, [size, size])
        if mirrored:
            picture = F.hflip(picture)
        return F.normalize(F.convert_image_dtype(picture), MEAN, DEVIATION)

    return one


peers = {}


def list_peers():
    for name, make in (
        ("Pillow + torchvision transforms", with_pillow),
        ("torchvision.io + tensor transforms", with_torchvision_io),
    ):
        try:
            peers[name] = make()
            yield name, "ok"
        except Exception as error:  # a package that is absent or does not load
            yield name, " ".join(str(error).split()) or type(error).__name__


def main():
    global size
    for line in sys.stdin:
        word, *rest = line.rstrip("\n").split("\t")
        if word == "image":
            images.append((rest[0], *map(int, rest[1:])))
        elif word == "size":
            size = int(rest[0])
        elif word == "clear":
            images.clear()
        elif word == "peers":
            for name, state in list_peers():
                print(f"{name}\t{state}")
            print("", flush=True)
        elif word == "run":
            one = peers[rest[0]]
            begin = time.process_time()
            for image in images[int(rest[1]) : int(rest[2])]:
                one(image)
            print(time.process_time() - begin, flush=True)


main()
