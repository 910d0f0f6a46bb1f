import { describe, expect, it } from 'vitest';
import { createHourlyCounter } from '../../src/providers/hourly-counter.ts';
import { createManualTime } from '../fakes/manual-time.ts';

const MINUTE_MS = 60_000;

describe('the counter of the last hour', () => {
  it('counts only the events of the last hour', () => {
    const time = createManualTime(0);
    const hourly = createHourlyCounter(time);
    for (let minute = 0; minute < 90; minute += 1) {
      time.set(minute * MINUTE_MS);
      hourly.add();
    }
    expect(hourly.count).toBe(60);
    time.set(time.now() + 30 * MINUTE_MS);
    expect(hourly.count).toBe(30);
    time.set(time.now() + 60 * MINUTE_MS);
    expect(hourly.count).toBe(0);
  });

  it('drops events that lie in the future after the clock was set back', () => {
    const time = createManualTime(10 * 60 * MINUTE_MS);
    const hourly = createHourlyCounter(time);
    hourly.add();
    time.set(0);
    expect(hourly.count).toBe(0);
  });
});
