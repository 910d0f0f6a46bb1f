import { join } from 'node:path';
import { findPrometheus } from '../services/prometheus.ts';
import { thisMachine } from '../services/requirements.ts';

/**
 * Returns the path of the installed `promtool` of Prometheus, or of the `promtool` in the Debian package. Returns
 * undefined if both are unavailable.
 */
export async function findPromtool(): Promise<string | undefined> {
  if ((await thisMachine.run('promtool', ['--version'])).status === 0) return 'promtool';
  const programs = await findPrometheus();
  return programs && join(programs, 'promtool');
}
