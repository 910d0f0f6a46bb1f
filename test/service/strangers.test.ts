import { describe, expect, it } from 'vitest';
import { createStrangers } from '../../src/service/watching/strangers.ts';
import { createManualTime } from '../fakes/manual-time.ts';
import { START } from './sample.ts';

describe('a job about what a process does not know', () => {
  it('comes again every second or two for two minutes, and then no more', () => {
    const clock = createManualTime(START);
    const strangers = createStrangers({ clock, random: () => 0.5 });
    expect(strangers.handBack('a')).toBe(1_500);
    clock.set(START + 120_000);
    expect(strangers.handBack('a')).toBe(1_500);
    clock.set(START + 120_001);
    expect(strangers.handBack('a')).toBeUndefined();
    // Whoever asks for it later begins anew.
    expect(strangers.handBack('a')).toBe(1_500);
  });

  it('has all of its time again once it was known', () => {
    const clock = createManualTime(START);
    const strangers = createStrangers({ clock, random: () => 0 });
    strangers.handBack('a');
    strangers.forget('a');
    clock.set(START + 130_000);
    expect(strangers.handBack('a')).toBe(1_000);
  });

  it('has all of its time when it is the next one, and the last one went to another', () => {
    const clock = createManualTime(START);
    const strangers = createStrangers({ clock, random: () => 0 });
    for (let round = 0; round < 4; round += 1) {
      clock.set(START + round * 300_000);
      expect(strangers.handBack('a')).toBe(1_000);
    }
  });
});
