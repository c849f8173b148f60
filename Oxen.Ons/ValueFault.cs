namespace Oxen.Ons;

/// <summary>Why a value is refused.</summary>
public enum ValueFault : byte
{
    None = 0,

    /// <summary>The length is none that a value of this type has.</summary>
    Length,

    /// <summary>The text is not written as values of this type are.</summary>
    Form,

    /// <summary>The bytes say that they are something else: not 0x05 before a session key, no such kind of OXEN address.</summary>
    Kind,

    /// <summary>The stored bytes do not open under this name: another name's, or changed.</summary>
    Sealed,
}
