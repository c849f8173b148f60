using System.Text;

namespace Oxen.Router.Daemon.Configuration;

/// <summary>One thing wrong with a configuration file. Line and column are counted from 1, as editors do.</summary>
internal sealed record ConfigDiagnostic(string File, int Line, int Column, string Code, string Message, string Remedy)
{
    public const string Syntax = "OXN1001", UnknownSection = "OXN1002", UnknownKey = "OXN1003", WrongType = "OXN1004", WrongValue = "OXN1005", Missing = "OXN1006", Contradiction = "OXN1007", Unreadable = "OXN1008";

    public override string ToString()
    {
        var text = new StringBuilder();
        text.Append(File).Append(':').Append(Line).Append(':').Append(Column).Append(": error ").Append(Code).Append(": ").Append(Message);
        if (Remedy.Length > 0) text.Append("\n  ").Append(Remedy);
        return text.ToString();
    }
}
