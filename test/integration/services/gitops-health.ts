import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type GoPrograms, installGoProgram } from './go-program.ts';

const ARGO: GoPrograms = {
  module: 'argo-health',
  versionOf: 'github.com/yuin/gopher-lua',
  title: 'a Lua machine like that of Argo CD',
  seconds: 20,
  programs: { 'argo-health': '.' },
};
const FLUX: GoPrograms = {
  module: 'flux-health',
  versionOf: 'github.com/fluxcd/pkg/runtime',
  title: 'the health checks of Flux',
  seconds: 180,
  programs: { 'flux-health': '.' },
};
const FOLDER = join(import.meta.dirname, '../../../deploy/gitops');

export interface Health {
  readonly status?: string;
  readonly message?: string;
  readonly error?: string;
  /** What Flux says without our check. */
  readonly plain?: string;
}

/** Evaluates our check for Argo CD in a Lua machine like that of Argo CD. Builds it with Go on first use. */
export async function argoHealths(objects: readonly object[]): Promise<readonly Health[]> {
  const program = join(await installGoProgram(ARGO), 'argo-health');
  return evaluate(program, 'argocd-cm.yaml', objects);
}

/** Evaluates our check for Flux with the code of Flux. Builds it with Go on first use. */
export async function fluxHealths(objects: readonly object[]): Promise<readonly Health[]> {
  const program = join(await installGoProgram(FLUX), 'flux-health');
  return evaluate(program, 'flux-kustomization.yaml', objects);
}

async function evaluate(
  program: string,
  file: string,
  objects: readonly object[],
): Promise<readonly Health[]> {
  const child = spawn(program, [join(FOLDER, file)], { env: {}, stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.end(JSON.stringify(objects));
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit'),
  ]);
  if (code !== 0) throw new Error(`${program}: ${stderr}`);
  return JSON.parse(stdout) as Health[];
}
