"""peer-python.py: Python's JoinableQueue, threads x threads of processes, capacity 1024.

    peer-python.py PRODUCERS CONSUMERS MS    prints million items a second
"""
import multiprocessing
import sys
import time


def produce(queue, until, count):
    n = 0
    while time.monotonic() < until:
        for _ in range(50):
            queue.put(4)
        n += 50
    count.put(n)


def consume(queue):
    while queue.get() != 2:
        queue.task_done()
    queue.task_done()


def main():
    producers, consumers, ms = map(int, sys.argv[1:4])
    queue, counts = multiprocessing.JoinableQueue(1024), multiprocessing.SimpleQueue()
    start = time.monotonic()
    takers = [multiprocessing.Process(target=consume, args=(queue,)) for _ in range(consumers)]
    putters = [multiprocessing.Process(target=produce, args=(queue, start + ms / 1000, counts))
               for _ in range(producers)]
    for process in takers + putters:
        process.start()
    total = sum(counts.get() for _ in putters)
    queue.join()
    end = time.monotonic()
    for _ in takers:
        queue.put(2)
    for process in takers + putters:
        process.join()
    print(f"{total / (end - start) / 1e6:.4f} 0")


main()
