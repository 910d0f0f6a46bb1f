import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { answerCommand, findUsageProblem } from '../../scripts/servers/commands.ts';
import { listenForCommands, playgroundFolder, sendCommand } from '../../scripts/servers/control.ts';
import type { Playground } from '../../scripts/servers/playground.ts';
import { ServerPort } from '../../scripts/servers/server-port.ts';
import { listen } from '../fakes/loopback.ts';
import { freePort } from '../integration/services/free-port.ts';
import { InstallProgress } from '../integration/services/install-progress.ts';

let server: Server;
let serverPort: number;
let ports: ServerPort[] = [];

beforeEach(async () => {
  // Answers after the client has closed its direction, as the tests' Redis client does.
  server = createServer({ allowHalfOpen: true }, async (socket) => {
    socket.on('error', () => socket.destroy());
    socket.write('hello ');
    socket.end(await text(socket));
  });
  serverPort = await listen(server);
});
afterEach(async () => {
  for (const port of ports) await port.close();
  ports = [];
  server.close();
});

async function open(wanted: number): Promise<ServerPort> {
  const port = await ServerPort.open(wanted, serverPort);
  ports.push(port);
  return port;
}

async function connectTo(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  await once(socket, 'connect');
  return socket;
}

async function ask(port: number): Promise<string> {
  const socket = await connectTo(port);
  socket.end('you');
  return text(socket);
}

describe('the port of a server', () => {
  it('ends all connections and refuses new ones while it is closed, and works again after that', async () => {
    const port = await open(await freePort());
    expect(await ask(port.port)).toBe('hello you');
    const client = await connectTo(port.port);
    await once(client, 'data');
    const ended = once(client, 'end');
    await port.close();
    await ended;
    await expect(connectTo(port.port)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    expect(await port.open()).toBe(true);
    expect(await ask(port.port)).toBe('hello you');
  });

  it('is another one if a program uses the wanted port', async () => {
    const taken = await open(await freePort());
    const other = await open(taken.port);
    expect(other.port).not.toBe(taken.port);
    expect(await ask(other.port)).toBe('hello you');
  });
});

describe('the commands of the servers', () => {
  beforeEach(() => vi.stubEnv('XDG_CACHE_HOME', mkdtempSync(join(tmpdir(), 'secretbridge-servers-'))));
  afterEach(() => {
    rmSync(process.env.XDG_CACHE_HOME ?? '', { recursive: true });
    vi.unstubAllEnvs();
  });

  async function playground(): Promise<Playground> {
    const port = await open(await freePort());
    return {
      servers: [
        { name: 'redis', title: 'Redis', url: `redis://127.0.0.1:${port.port}`, port },
        {
          name: 'postgres',
          title: 'PostgreSQL',
          url: "postgres://me:it's@127.0.0.1:5432/x",
          port: undefined,
        },
      ],
      rootToken: 'root',
      kubeconfig: '/a folder/kubeconfig',
      auditLog: undefined,
      programs: ['/bao', '/kubectl'],
      unexpectedExit: new Promise(() => {}),
      [Symbol.asyncDispose]: async () => {},
    };
  }

  it('reach the running servers, which listen only once', async () => {
    expect(await sendCommand(['status'])).toBeUndefined();
    const running = await playground();
    {
      await using _ = await listenForCommands((args) => answerCommand(running, args));
      await expect(listenForCommands(() => Promise.reject(new Error()))).rejects.toThrow('already run');
      expect(await sendCommand(['stop', 'redis'])).toEqual({
        code: 0,
        stdout: expect.stringContaining('Redis is stopped: 127.0.0.1:'),
      });
      expect(running.servers[0]?.port?.isOpen).toBe(false);
      expect((await sendCommand(['status']))?.stdout).toMatch(/^stopped +redis[\s\S]*^foreign +postgres/m);
      expect(await sendCommand(['start', 'redis'])).toMatchObject({ code: 0 });
      expect(running.servers[0]?.port?.isOpen).toBe(true);
      expect(await sendCommand(['stop', 'postgres'])).toEqual({
        code: 1,
        stderr: expect.stringContaining('Only what started it can stop it'),
      });
    }
    expect(existsSync(playgroundFolder())).toBe(false);
  });

  it('print variables that a shell can evaluate', async () => {
    const { stdout = '' } = await answerCommand(await playground(), ['env']);
    expect(stdout).toContain("export KUBECONFIG='/a folder/kubeconfig'\n");
    expect(stdout).toContain("export DATABASE_URL='postgres://me:it'\\''s@127.0.0.1:5432/x'\n");
    expect(stdout).toMatch(/^export PATH=\/bao:\/kubectl:"\$PATH"$/m);
    expect(stdout).not.toContain('SECRETBRIDGE_TEST_');
  });

  it.each([
    [['restart'], 'Unknown command restart.'],
    [['stop'], 'Name a server. The servers are: openbao,'],
    [['start', 'vault'], 'No server has the name vault. The servers are: openbao,'],
    [['env', '--json'], 'servers env: unknown argument --json.'],
  ])('are refused with the reason: %j', (args, problem) => {
    expect(findUsageProblem(args)).toContain(problem);
  });
});

describe('the progress of an installation', () => {
  it.each([
    [undefined, 60, 'x: 1 min so far, about 4 min left'],
    [undefined, 310, 'x: 5 min 10 s so far, longer than usual'],
    [0.25, 60, 'x: 1 min so far, 25 %, about 3 min left'],
    [1, 60, 'x: 1 min so far, 99 %, longer than usual'],
  ])('shows the time left: share %s after %i seconds', (share, elapsed, line) => {
    using progress = new InstallProgress('x', 300, () => {});
    progress.measure = () => share;
    expect(progress.line(elapsed)).toBe(line);
  });
});
