namespace Oxen.Router.Hosting;

/// <summary>
/// Carries an address, a router id, a name or a path id into a log call without letting it out: whatever formats this
/// gets the same few characters. The only way to log such a value is as `Redacted`, and there is no switch to undo it.
/// </summary>
internal readonly struct Redacted<T>(T value) : ISpanFormattable
{
    private const string Text = "[redacted]";

    /// <summary>For comparison in code, never for output.</summary>
    public T Value { get; } = value;

    public override string ToString() => Text;

    public string ToString(string? format, IFormatProvider? formatProvider) => Text;

    public bool TryFormat(Span<char> destination, out int charsWritten, ReadOnlySpan<char> format, IFormatProvider? provider)
    {
        charsWritten = Text.TryCopyTo(destination) ? Text.Length : 0;
        return charsWritten > 0;
    }
}
