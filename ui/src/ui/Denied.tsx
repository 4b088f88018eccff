// Without a token there is nothing to see: how to get one.
import { useState } from 'preact/hooks';
import { link } from '../transport/socket';
import { setToken } from '../transport/token';

export function Denied() {
  const [text, setText] = useState('');
  const refused = link.value.state === 'refused';
  const take = (e: Event) => {
    e.preventDefault();
    const t = /token=([^&\s]+)/.exec(text)?.[1] ?? text.trim();
    if (!t) return;
    setToken(decodeURIComponent(t));
    location.reload();
  };
  return (
    <div class="no-access">
      <h2>{refused ? 'The agent does not know this token' : 'A token is needed'}</h2>
      <p>
        {refused
          ? 'An agent makes a new token at every start, unless STROBE_TOKEN sets one.'
          : 'Only who can read the agent’s output or files on its host may see the data.'}
      </p>
      <p>Open the address that the agent printed, or print it again on its host:</p>
      <pre>strobe status</pre>
      <form onSubmit={take}>
        <label>
          Address or token
          <input
            type="password"
            autocomplete="off"
            value={text}
            onInput={(e) => setText(e.currentTarget.value)}
          />
        </label>
        <button type="submit" class="btn">
          Open
        </button>
      </form>
    </div>
  );
}
