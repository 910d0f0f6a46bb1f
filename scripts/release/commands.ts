import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const execute = promisify(execFile);

/** An error whose message says what is wrong and what to do. */
export class ReleaseError extends Error {
  override readonly name = 'ReleaseError';
}

const INSTALL: Readonly<Record<string, string>> = {
  buildah: 'On Debian, run: apt-get install buildah',
  skopeo: 'On Debian, run: apt-get install skopeo',
  helm: 'Install Helm 3.8 or newer, and put it on PATH.',
};

const stopping = new AbortController();

/** Ends the running commands with SIGTERM. Later commands fail at once. */
export function stopCommands(): void {
  stopping.abort();
}

/** Runs a command. Returns its standard output. @throws ReleaseError with the last lines of the output */
export async function runCommand(command: string, args: readonly string[]): Promise<string> {
  try {
    const { stdout } = await execute(command, [...args], {
      maxBuffer: 256 * 1024 * 1024,
      signal: stopping.signal,
    });
    return stdout;
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    if (error.name === 'AbortError') throw new ReleaseError('The release was stopped. No file is left.');
    if (error.code === 'ENOENT')
      throw new ReleaseError(`${command} is missing. ${INSTALL[command] ?? 'Install it.'}`);
    const output = 'stderr' in error ? String(error.stderr) : '';
    const end = output.trimEnd().split('\n').slice(-15).join('\n');
    throw new ReleaseError(`${command} ${args[0]} failed:\n${end}`);
  }
}
