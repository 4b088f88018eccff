import { describe, expect, it } from 'vitest';
import { type Clock, type Drawable, Scheduler } from './sched';

/** A clock whose frames come every 16 ms and whose timers fire when it is moved past them. */
class FakeClock implements Clock {
  t = 1000;
  isHidden = false;
  private jobs: { at: number; cb: () => void }[] = [];
  now = () => this.t;
  frames = 0;
  frame = (cb: () => void) => {
    this.frames++;
    this.jobs.push({ at: Math.ceil((this.t + 1) / 16) * 16, cb });
  };
  after = (ms: number, cb: () => void) => void this.jobs.push({ at: this.t + ms, cb });
  hidden = () => this.isHidden;
  run(until: number): void {
    for (;;) {
      this.jobs.sort((a, b) => a.at - b.at);
      const next = this.jobs[0];
      if (!next || next.at > until) break;
      this.jobs.shift();
      this.t = Math.max(this.t, next.at);
      next.cb();
    }
    this.t = until;
  }
}

function chart(period = 100): Drawable & { draws: number; k: number } {
  return {
    draws: 0,
    k: 0,
    key() {
      return this.k;
    },
    draw() {
      this.draws++;
    },
    period: () => period,
  };
}

describe('scheduler', () => {
  it('draws on the first frame after data came', () => {
    const clock = new FakeClock();
    const s = new Scheduler(clock);
    const c = chart();
    s.add(c);
    clock.run(1100);
    expect(c.draws).toBe(1);
    clock.t = 1200;
    c.k++;
    s.data();
    clock.run(1216);
    expect(c.draws).toBe(2);
  });

  it('draws ten times a second at most, also when data come a hundred times', () => {
    const clock = new FakeClock();
    const s = new Scheduler(clock);
    const c = chart();
    s.add(c);
    for (let t = 1000; t < 6000; t += 10) {
      clock.run(t);
      c.k++;
      s.data();
    }
    expect(c.draws).toBeGreaterThanOrEqual(48);
    expect(c.draws).toBeLessThanOrEqual(51);
  });

  it('keeps ten a second when data are 20 ms early and late by turns', () => {
    const clock = new FakeClock();
    const s = new Scheduler(clock);
    const c = chart();
    s.add(c);
    clock.run(1050);
    const before = c.draws;
    for (let i = 1; i <= 50; i++) {
      clock.run(1050 + i * 100 + (i % 2 ? -20 : 20));
      c.k++;
      s.data();
    }
    clock.run(6200);
    expect(c.draws - before).toBe(50);
  });

  it('draws data as they arrive, whatever the phase of what was drawn before', () => {
    const clock = new FakeClock();
    const s = new Scheduler(clock);
    const c = chart();
    s.add(c);
    s.onText(() => undefined);
    clock.run(1070);
    let late = 0;
    for (let i = 1; i <= 40; i++) {
      clock.run(1070 + i * 100);
      const before = c.draws;
      c.k++;
      s.data();
      clock.run(1070 + i * 100 + 17);
      // A second message of the same tick brings nothing to draw.
      s.data();
      if (c.draws === before) late++;
    }
    expect(late).toBe(0);
  });

  it('draws only charts whose pixels moved and that are visible', () => {
    const clock = new FakeClock();
    const s = new Scheduler(clock);
    const [still, moving, away] = [chart(), chart(), chart()];
    s.add(still);
    s.add(moving);
    s.add(away);
    clock.run(1100);
    s.setVisible(away, false);
    for (let i = 0; i < 5; i++) {
      moving.k++;
      away.k++;
      s.data();
      clock.run(1300 + i * 100);
    }
    expect([still.draws, moving.draws, away.draws]).toEqual([1, 6, 1]);
    s.setVisible(away, true);
    clock.run(1900);
    expect(away.draws).toBe(2);
  });

  it('draws a chart of a long window twice a second', () => {
    const clock = new FakeClock();
    const s = new Scheduler(clock);
    const c = chart(500);
    s.add(c);
    for (let t = 1000; t < 6000; t += 100) {
      clock.run(t);
      c.k++;
      s.data();
    }
    expect(c.draws).toBeGreaterThanOrEqual(9);
    expect(c.draws).toBeLessThanOrEqual(12);
  });

  it('asks for no frames in between when all charts are slow', () => {
    const clock = new FakeClock();
    const s = new Scheduler(clock);
    const c = chart(500);
    s.add(c);
    clock.run(1050);
    const asked = clock.frames;
    for (let t = 1050; t < 6050; t += 100) {
      clock.run(t);
      c.k++;
      s.data();
    }
    expect(clock.frames - asked).toBeLessThanOrEqual(12);
    expect(clock.frames - asked).toBeGreaterThanOrEqual(9);
  });

  it('draws what only the reader moves when it is told to, and not for data', () => {
    const clock = new FakeClock();
    const s = new Scheduler(clock);
    const c = chart(Number.POSITIVE_INFINITY);
    s.add(c);
    clock.run(1100);
    for (let i = 0; i < 5; i++) {
      c.k++;
      s.data();
      clock.run(1300 + i * 100);
    }
    expect(c.draws).toBe(1);
    s.invalidate();
    clock.run(2000);
    expect(c.draws).toBe(2);
  });

  it('answers the reader on the next frame, whatever the rate', () => {
    const clock = new FakeClock();
    const s = new Scheduler(clock);
    const c = chart(500);
    s.add(c);
    clock.run(1100);
    for (let i = 0; i < 10; i++) {
      c.k++;
      s.invalidate();
      clock.run(1100 + (i + 1) * 17);
    }
    expect(c.draws).toBe(11);
  });

  it('does nothing while the page is hidden, text included', () => {
    const clock = new FakeClock();
    const s = new Scheduler(clock);
    const c = chart();
    let texts = 0;
    s.add(c);
    s.onText(() => texts++);
    clock.run(2000);
    const [d, t] = [c.draws, texts];
    expect(t).toBeGreaterThan(0);
    clock.isHidden = true;
    c.k++;
    s.data();
    clock.run(5000);
    expect([c.draws, texts]).toEqual([d, t]);
  });

  it('asks for a frame only when it will draw', () => {
    const clock = new FakeClock();
    const s = new Scheduler(clock);
    const c = chart();
    s.add(c);
    clock.run(1050);
    const asked = clock.frames;
    for (let t = 1050; t < 3050; t += 10) {
      clock.run(t);
      c.k++;
      s.data();
    }
    expect(clock.frames - asked).toBeLessThanOrEqual(21);
  });

  it('runs text with a frame of data, or alone when there is none', () => {
    const clock = new FakeClock();
    const s = new Scheduler(clock);
    const c = chart();
    s.add(c);
    const at: number[] = [];
    s.onText(() => at.push(clock.t));
    clock.run(1550);
    c.k++;
    s.data();
    clock.run(1600);
    expect(at).toEqual([1552]);
    clock.run(2200);
    expect(at).toEqual([1552, 2128]);
  });

  it('runs text twice a second', () => {
    const clock = new FakeClock();
    const s = new Scheduler(clock);
    let texts = 0;
    s.onText(() => texts++);
    clock.run(11_150);
    expect(texts).toBe(20);
  });

  it('halves its rate while frames cost too much', () => {
    const clock = new FakeClock();
    const s = new Scheduler(clock);
    const c = chart();
    const slow = { ...c, draw: () => void (clock.t += 60), key: () => clock.t };
    s.add(slow);
    for (let t = 1000; t < 4000; t += 100) {
      s.data();
      clock.run(Math.max(t, clock.t));
    }
    expect(s.rate()).toBe(5);
  });
});
