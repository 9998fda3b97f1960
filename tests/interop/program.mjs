// A program under test, as the person before it meets it: what it prints, and how it ends.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const manifest = fileURLToPath(new URL('../../Cargo.toml', import.meta.url));

export class Program {
  /** `target`: what cargo runs, such as `['--example', 'login']`. `cwd`: the folder it runs in. */
  constructor(target, options, cwd) {
    const args = ['run', '--quiet', '--manifest-path', manifest, ...target, '--', ...options];
    this.process = spawn('cargo', args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    this.stdout = this.stderr = '';
    this.seen = 0;
    this.process.stdout.on('data', (data) => (this.stdout += data));
    this.process.stderr.on('data', (data) => (this.stderr += data));
    this.closed = once(this.process, 'close');
  }

  /** The next match in what it prints. */
  async prints(pattern) {
    for (;;) {
      const found = pattern.exec(this.stdout.slice(this.seen));
      if (found) {
        this.seen += found.index + found[0].length;
        return found[1];
      }
      assert.equal(this.process.exitCode, null, `it ended: ${this.stdout}${this.stderr}`);
      await Promise.race([once(this.process.stdout, 'data'), this.closed]);
    }
  }

  url() {
    return this.prints(/to log in, open\n {2}(\S+)\n/);
  }

  code() {
    return this.prints(/and type in\n {2}(\S+)\n/);
  }

  async ends(code) {
    await this.closed;
    assert.equal(this.process.exitCode, code, `${this.stdout}${this.stderr}`);
  }
}
