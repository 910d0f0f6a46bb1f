import { describe, expect, it } from 'vitest';
import { createUnknownJobs } from '../../src/service/runs/unknown-jobs.ts';
import { createManualTime } from '../fakes/manual-time.ts';
import { START } from './sample.ts';

describe('a job for an unknown subject', () => {
  it('a job for an unknown subject is retried every second or two for two minutes, and is then dropped', () => {
    const clock = createManualTime(START);
    const unknownJobs = createUnknownJobs({ clock, random: () => 0.5 });
    expect(unknownJobs.handBack('a')).toBe(1_500);
    clock.set(START + 120_000);
    expect(unknownJobs.handBack('a')).toBe(1_500);
    clock.set(START + 120_001);
    expect(unknownJobs.handBack('a')).toBeUndefined();
    // A later request starts a new period of two minutes.
    expect(unknownJobs.handBack('a')).toBe(1_500);
  });

  it('a job for an unknown subject is retried for two more minutes if the subject was known in between', () => {
    const clock = createManualTime(START);
    const unknownJobs = createUnknownJobs({ clock, random: () => 0 });
    unknownJobs.handBack('a');
    unknownJobs.forget('a');
    clock.set(START + 130_000);
    expect(unknownJobs.handBack('a')).toBe(1_000);
  });

  it('a job for an unknown subject is retried for a new period of two minutes if another replica took the previous job', () => {
    const clock = createManualTime(START);
    const unknownJobs = createUnknownJobs({ clock, random: () => 0 });
    for (let round = 0; round < 4; round += 1) {
      clock.set(START + round * 300_000);
      expect(unknownJobs.handBack('a')).toBe(1_000);
    }
  });
});
