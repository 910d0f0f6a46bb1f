import { describe, expect, it } from 'vitest';
import { createUnknownJobs } from '../../src/service/runs/unknown-jobs.ts';
import { createManualTime } from '../fakes/manual-time.ts';
import { START } from './sample.ts';

describe('a job about what a process does not know', () => {
  it('comes again every second or two for two minutes, and then no more', () => {
    const clock = createManualTime(START);
    const unknownJobs = createUnknownJobs({ clock, random: () => 0.5 });
    expect(unknownJobs.handBack('a')).toBe(1_500);
    clock.set(START + 120_000);
    expect(unknownJobs.handBack('a')).toBe(1_500);
    clock.set(START + 120_001);
    expect(unknownJobs.handBack('a')).toBeUndefined();
    // Whoever asks for it later begins anew.
    expect(unknownJobs.handBack('a')).toBe(1_500);
  });

  it('has all of its time again once it was known', () => {
    const clock = createManualTime(START);
    const unknownJobs = createUnknownJobs({ clock, random: () => 0 });
    unknownJobs.handBack('a');
    unknownJobs.forget('a');
    clock.set(START + 130_000);
    expect(unknownJobs.handBack('a')).toBe(1_000);
  });

  it('has all of its time when it is the next one, and the last one went to another', () => {
    const clock = createManualTime(START);
    const unknownJobs = createUnknownJobs({ clock, random: () => 0 });
    for (let round = 0; round < 4; round += 1) {
      clock.set(START + round * 300_000);
      expect(unknownJobs.handBack('a')).toBe(1_000);
    }
  });
});
