import { expect, it } from 'vitest';
import { ChangeThrottle } from '../../src/app/config-maps/change-throttle.ts';
import { createManualTime } from '../fakes/manual-time.ts';

function open() {
  const time = createManualTime();
  const seen: (string | undefined)[] = [];
  const throttle = new ChangeThrottle({ timers: time, onChange: (name) => void seen.push(name) });
  return { time, seen, throttle };
}

it('passes single changes on at once, and many changes at the same time', () => {
  const { throttle, seen } = open();
  for (let index = 0; index < 500; index += 1) throttle.note(`m${index}`);
  expect(seen).toHaveLength(500);
});

it('delays a namespace that changes all the time, and loses no name', async () => {
  const { throttle, seen, time } = open();
  for (let round = 0; round < 300; round += 1) {
    throttle.note(`m${round}`);
    await time.advance(2_000);
  }
  const early = seen.length;
  expect(early).toBeGreaterThanOrEqual(120);
  expect(early).toBeLessThan(300);
  await time.advance(60_000);
  expect(new Set(seen).size).toBe(300);
});

it('recovers after a quiet time', async () => {
  const { throttle, seen, time } = open();
  for (let round = 0; round < 300; round += 1) {
    throttle.note('m');
    await time.advance(2_000);
  }
  await time.advance(60 * 60_000);
  const before = seen.length;
  throttle.note('late');
  expect(seen.slice(before)).toEqual(['late']);
});
