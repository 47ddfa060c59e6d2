#!/usr/bin/python3
"""The other party on a MIDI cable: mido reads and writes the messages, and what they tell is put together here by the
document (RP-004), from nothing of ours.

midi.py hear                              bytes on the standard input until it ends; a line for each timecode:
                                          `quarter|full HH MM SS FF RATE`, RATE as its two bits
midi.py write HH MM SS FF FPS RATE COUNT  quarter frames of COUNT frames from there on to the standard output
midi.py play HH MM SS FF FPS RATE COUNT   the same, each in its time
"""
import os
import sys
import time

import mido


def hear():
    parser, pieces = mido.Parser(), {}
    while True:
        try:
            some = os.read(0, 64)
        except OSError:  # the other end of a pseudo-terminal has gone
            return
        if not some:
            return
        parser.feed(some)
        for message in parser:
            if message.type == "quarter_frame":
                if message.frame_type == 0:
                    pieces = {}
                pieces[message.frame_type] = message.frame_value
                if message.frame_type == 7 and len(pieces) == 8:
                    frames, seconds, minutes, hours = (
                        pieces[2 * n] | pieces[2 * n + 1] << 4 for n in range(4)
                    )
                    say("quarter", hours, minutes, seconds, frames)
            elif message.type == "sysex" and message.data[:1] + message.data[2:4] == (0x7F, 1, 1):
                say("full", *message.data[4:8])


def say(how, hours, minutes, seconds, frames):
    print(how, hours & 0x1F, minutes, seconds, frames, hours >> 5, flush=True)


def dropped(hours, minutes, seconds, frames):
    """Whether drop frame has no such number (SMPTE 12M): the first two of each minute but every tenth."""
    return seconds == 0 and frames < 2 and minutes % 10 != 0


def numbers(hours, minutes, seconds, frames, fps, rate):
    while True:
        if rate != 2 or not dropped(hours, minutes, seconds, frames):
            yield hours, minutes, seconds, frames
        frames += 1
        for_each = ((frames, fps), (seconds, 60), (minutes, 60), (hours, 24))
        values, carry = [], 0
        for value, limit in for_each:
            carry, value = divmod(value + carry, limit)
            values.append(value)
        frames, seconds, minutes, hours = values


def quarters(start, fps, rate, count):
    all_numbers = numbers(*start, fps, rate)
    for _ in range(count // 2):
        hours, minutes, seconds, frames = next(all_numbers)
        next(all_numbers)  # eight quarters take two frames
        for piece in range(8):
            value = (frames, seconds, minutes, hours | rate << 5)[piece // 2]
            nibble = value >> 4 if piece % 2 else value & 15
            yield mido.Message("quarter_frame", frame_type=piece, frame_value=nibble).bin()


def write(*numbers):
    *start, fps, rate, count = map(int, numbers)
    return quarters(start, fps, rate, count), fps


def play(*numbers):
    messages, fps = write(*numbers)
    began = time.monotonic()
    for index, message in enumerate(messages):
        time.sleep(max(0, began + index / 4 / fps - time.monotonic()))
        os.write(1, message)


match sys.argv[1:]:
    case ["hear"]:
        hear()
    case ["write", *numbers_given]:
        for message in write(*numbers_given)[0]:
            sys.stdout.buffer.write(message)
    case ["play", *numbers_given]:
        play(*numbers_given)
