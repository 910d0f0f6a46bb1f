import { need } from '../integration/services/requirements.ts';
import { reportToStderr, ServiceError } from '../integration/services/service.ts';
import { findChromium } from './chromium.ts';

/** Under root on Debian a missing Chromium is installed; elsewhere the tests are left out, and say why. */
export async function setup(): Promise<void> {
  try {
    await need(
      {
        missing: 'Chromium is missing.',
        package: 'chromium',
        takes: 'about a minute',
        find: async () => findChromium(),
      },
      reportToStderr,
    );
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    reportToStderr(error.message);
  }
}
