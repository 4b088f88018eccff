// The host as its agent introduced it.
import type { Hello } from '../gen/strobe_pb';
import type { HostInfo } from './api';

/** A hue of its own for every name. */
export function hueOf(name: string): number {
  let h = 2166136261;
  for (let i = 0; i < name.length; i++) h = Math.imul(h ^ name.charCodeAt(i), 16777619);
  return (h >>> 0) % 360;
}

export const hex = (b: Uint8Array) => Array.from(b, (x) => x.toString(16).padStart(2, '0')).join('');

export function hostOf(h: Hello): HostInfo {
  return {
    host: h.host,
    machineId: h.machineId,
    kernel: h.kernel,
    version: h.version,
    nCpus: h.nCpus,
    memTotal: Number(h.memTotalBytes),
    rateHz: h.rateHz || 10,
    startedUs: Number(h.startedUs),
    recoverable: h.recoverable,
    bootId: h.bootId,
    capture: h.capture ? h.captureName || 'capture' : null,
    hue: hueOf(h.host),
  };
}
