import { findOrInstall } from '../integration/services/requirements.ts';
import { reportToStderr, ServiceError } from '../integration/services/service.ts';
import { findChromium } from './chromium.ts';

/**
 * Installs a missing Chromium when running as root on Debian. Elsewhere, the tests are skipped and their names contain
 * the reason.
 */
export async function setup(): Promise<void> {
  try {
    await findOrInstall(
      {
        missing: 'Chromium is missing.',
        package: 'chromium-headless-shell',
        duration: 'about a minute',
        find: async () => findChromium(),
      },
      reportToStderr,
    );
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    reportToStderr(error.message);
  }
}
