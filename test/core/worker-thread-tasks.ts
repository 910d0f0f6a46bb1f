import { defineTask } from '../../src/core/worker-thread.ts';

let counted = 0;

export function echoInput(input: unknown): unknown {
  return input;
}

export function countCalls(): number {
  counted += 1;
  return counted;
}

export function loopForever(): number {
  for (let index = 0; ; index += 1) if (index < 0) return index;
}

export function allocateForever(): number {
  const lists: number[][] = [];
  for (;;) lists.push(Array.from({ length: 100_000 }, (_, index) => index + 0.5));
}

export function failWithMessage(): never {
  throw new RangeError('the value is hunter2');
}

/** Uses the processor for some milliseconds. */
export function useTime(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

export const echo = defineTask(import.meta.url, echoInput);
export const count = defineTask(import.meta.url, countCalls);
export const loop = defineTask(import.meta.url, loopForever);
export const allocate = defineTask(import.meta.url, allocateForever);
export const fail = defineTask(import.meta.url, failWithMessage);
export const order = defineTask(import.meta.url, useTime);
