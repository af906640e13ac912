"""The words of `train.py` and `frankenstein train`; its fields are in `training/plan.py`."""

from frankenstein.cli.words import Words

WORDS = Words(
    about="""
        SGD has Nesterov momentum 0.9; the learning rate is cut by 10 at one third and two thirds
        of the epochs. The same two seeds give the same weights, bit for bit, on one machine.
        """,
    examples="""
        python train.py -m tiny10 -d digits -e 20
        python train.py -m lenet -d fashion -i 1 -g 1 -e 10 --data-root data
        python train.py -m resnet20_w1 -d cifar10
        python train.py -m torchvision/resnet18 --weights DEFAULT \\
            --image-size 64 -e 10 -lr 0.01
        python train.py --config configs/train/tiny10_digits.yaml -i 3
        """,
    flags={"model": "-m", "init_noise": "-i", "gradient_noise": "-g"},
    first=(
        "model",
        "dataset",
        "data_root",
        "epochs",
        "batch_size",
        "lr",
        "optimizer",
        "init_noise",
        "gradient_noise",
        "resume",
    ),
)
