namespace Oxen.Router.Hosting;

/// <summary>An error that the user can do something about: a stable code, what happened, and the remedy.</summary>
public class OxenException : Exception
{
    /// <param name="code">`OXN` and four digits; docs/oxen.md lists them.</param>
    /// <param name="message">What happened, where, in words.</param>
    /// <param name="remedy">What to do about it.</param>
    /// <param name="inner">What was caught, if anything.</param>
    public OxenException(string code, string message, string remedy, Exception? inner = null)
        : base(message, inner)
    {
        ArgumentNullException.ThrowIfNull(code);
        ArgumentNullException.ThrowIfNull(remedy);
        Code = code;
        Remedy = remedy;
    }

    /// <summary>`OXN` and four digits: the same error has the same code in every version.</summary>
    public string Code { get; }

    /// <summary>What to do about it, in words.</summary>
    public string Remedy { get; }

    /// <summary>A log that shows the exception shows the remedy as well.</summary>
    public override string ToString() => $"{Code}: {Message} {Remedy}{Environment.NewLine}{base.ToString()}";

    internal static OxenException FileTrouble(string path, string trouble, Exception? inner = null) =>
        new("OXN3004", $"{path}: {trouble}", "Check the path and its permissions.", inner);
}
