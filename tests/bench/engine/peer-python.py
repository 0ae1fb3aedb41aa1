"""peer-python.py: an item through Python's multiprocessing.JoinableQueue, process to process.

    peer-python.py ITEMS    prints the nanoseconds an item

Called by engine.sh. Starting the processes does not count.
"""
import multiprocessing
import sys
import time


def produce(queue, ready, n):
    ready.wait()
    for i in range(n):
        queue.put(i)


def consume(queue, ready):
    ready.wait()
    while queue.get() is not None:
        queue.task_done()
    queue.task_done()


def main():
    n = int(sys.argv[1])
    queue, ready = multiprocessing.JoinableQueue(1024), multiprocessing.Barrier(3)
    source = multiprocessing.Process(target=produce, args=(queue, ready, n))
    sink = multiprocessing.Process(target=consume, args=(queue, ready))
    source.start()
    sink.start()
    ready.wait()
    begin = time.monotonic_ns()
    source.join()
    queue.join()
    print(f"python-2 {(time.monotonic_ns() - begin) / n:.3f} ns")
    queue.put(None)
    sink.join()


main()
