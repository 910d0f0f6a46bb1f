import { copyFile, mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunTool } from '../install.ts';
import { tar, writeImageArchive } from './image-archive.ts';

/** The name of the image with a static busybox. It also serves as the sandbox of every pod. */
export const BUSYBOX_IMAGE = 'localhost/secretbridge-busybox:1';

const APPLETS = ['cat', 'httpd', 'nslookup', 'readlink', 'sh', 'sleep', 'wget'];
/** Ends at once after SIGTERM, and reaps the processes that the pod leaves behind. */
const WAIT = "trap 'exit 0' TERM INT; while :; do sleep 3600 & wait $!; done";

/** Writes the image as a Docker archive, with the busybox of this machine as its only program. */
export async function writeBusyboxImage(archive: string, work: string, run: RunTool): Promise<void> {
  const root = join(work, 'busybox');
  await mkdir(join(root, 'bin'), { recursive: true });
  await copyFile('/bin/busybox', join(root, 'bin/busybox'));
  for (const applet of APPLETS) await symlink('busybox', join(root, 'bin', applet));
  const files = join(work, 'busybox.tar');
  await run(tar(files, root));
  const config = { Cmd: ['/bin/sh', '-c', WAIT], Env: ['PATH=/bin'] };
  await writeImageArchive(archive, work, { name: BUSYBOX_IMAGE, files, config }, run);
}
