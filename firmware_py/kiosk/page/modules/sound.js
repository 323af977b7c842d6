// A short, soft click where the ward wants one: low and dry, unlike any monitor's tone, never at
// night. Off unless the ward's policy says otherwise.

let machine = null;

function click(at, level) {
  const length = Math.floor(machine.sampleRate * 0.018);
  const buffer = machine.createBuffer(1, length, machine.sampleRate);
  const samples = buffer.getChannelData(0);
  for (let i = 0; i < length; i += 1) {
    samples[i] = (Math.random() * 2 - 1) * (1 - i / length) ** 3;
  }
  const source = new AudioBufferSourceNode(machine, { buffer });
  const low = new BiquadFilterNode(machine, { type: "lowpass", frequency: 700 });
  const gain = new GainNode(machine, { gain: level });
  source.connect(low).connect(gain).connect(machine.destination);
  source.start(at);
}

/** One click for "yours", two for "not accepted". */
export function heard(times, sound, night) {
  if (sound !== "soft" || night) return;
  try {
    machine ??= new AudioContext();
    for (let i = 0; i < times; i += 1) click(machine.currentTime + i * 0.14, 0.25);
  } catch {
    machine = null; // a terminal without a loudspeaker is no error of the tap
  }
}
