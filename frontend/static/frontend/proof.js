// Solves a challenge: the number for which the SHA-256 of the salt and the number is the hash that was asked for.
// In slices of some milliseconds, so that the page stays alive. A SHA-256 of our own, because the browser's is given
// to secure contexts only, which a site in a local network is not, and answers one promise for each hash.

const SLICE = 12;

const primes = [];
for (let n = 2; primes.length < 64; n++) if (primes.every((prime) => n % prime)) primes.push(n);
const fraction = (x) => ((x - Math.floor(x)) * 2 ** 32) | 0;
const START = primes.slice(0, 8).map((prime) => fraction(Math.sqrt(prime)));
const K = Int32Array.from(primes, (prime) => fraction(Math.cbrt(prime)));
const words = new Int32Array(64);

function block(state, bytes, offset) {
  for (let i = 0; i < 16; i++) {
    const at = offset + i * 4;
    words[i] = (bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3];
  }
  for (let i = 16; i < 64; i++) {
    const x = words[i - 15];
    const y = words[i - 2];
    const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
    const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
    words[i] = (words[i - 16] + s0 + words[i - 7] + s1) | 0;
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let i = 0; i < 64; i++) {
    const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + K[i] + words[i]) | 0;
    const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g;
    g = f;
    f = e;
    e = (d + t1) | 0;
    d = c;
    c = b;
    b = a;
    a = (t1 + t2) | 0;
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
  state[4] += e;
  state[5] += f;
  state[6] += g;
  state[7] += h;
}

const ascii = new TextEncoder();
const state = new Int32Array(8);

function sha256(text) {
  const said = ascii.encode(text);
  const padded = new Uint8Array(((said.length + 8) >> 6 << 6) + 64);
  padded.set(said);
  padded[said.length] = 0x80;
  new DataView(padded.buffer).setUint32(padded.length - 4, said.length * 8);
  state.set(START);
  for (let at = 0; at < padded.length; at += 64) block(state, padded, at);
  return state;
}

export function hex(text) {
  return [...sha256(text)].map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
}

// Resolves to what is sent as `altcha`, or to null where the signal says stop or there is no such number.
export async function solve({ algorithm, challenge, salt, signature, maxNumber }, signal) {
  if (algorithm !== "SHA-256") return null;
  const wanted = parseInt(challenge.slice(0, 8), 16) | 0;
  for (let number = 0; number <= maxNumber; ) {
    for (const end = performance.now() + SLICE; performance.now() < end && number <= maxNumber; ) {
      for (const some = Math.min(number + 50, maxNumber + 1); number < some; number++) {
        if (sha256(salt + number)[0] === wanted && hex(salt + number) === challenge) {
          return btoa(JSON.stringify({ algorithm, challenge, number, salt, signature }));
        }
      }
    }
    await new Promise((resolve) => setTimeout(resolve));
    if (signal.aborted) return null;
  }
  return null;
}
