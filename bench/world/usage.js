import { writeFileSync } from 'node:fs';

// Loaded before the program (`node --import`): tells whoever started it what its process has used, when asked and
// at its end.

const usage = () => {
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  return {
    cpuMs: (userCPUTime + systemCPUTime) / 1_000,
    rssMb: process.memoryUsage.rss() / 2 ** 20,
    maxRssMb: maxRSS / 1_024,
  };
};

process.on('exit', () => {
  const path = process.env.BENCH_USAGE;
  if (path !== undefined) writeFileSync(path, JSON.stringify(usage()));
});
if (process.send !== undefined) {
  process.on('message', () => process.send?.(usage()));
  // Whoever started it was killed: nobody else would end a service.
  process.on('disconnect', () => process.exit(1));
  process.channel?.unref();
}
