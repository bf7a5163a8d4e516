"""What no picture should show: dictionaries define every word, the indelicate ones too.

A text is left out when it has one of these words or beginnings of words. The list is broad on
purpose: among forty thousand phrases nobody misses one about a weapon.
"""

import re

# fmt: off
_BEGINNINGS = """
abort addict adulter aphrodis assassin bastard behead bigot bitch bloodshed bloody bomb bondage
bordel bosom breast brothel buggery bullet buttock cadaver cannibal castrat circumcis clitor
cocaine coit concubin condom contracep contracept copul corpse courtesan cremat cretin crotch
crucif cuckold cunt decapit defecat depriv derog despis disembowel dismember disparag ejacul
erogen erotic ethnic eunuch excrem executioner faec fagg farting fascis fecal feces fellat feti
fornic fuck gallows genital genocid gonor groin guillotin gunfire gunman gunshot harem harlot
hijack hitler holocaust homosex hooker hymen hypersex illegitimate imbecil impoten incest infantic
injun insult intercourse kidnap kill lech lesbian lewd libid lunatic lustful lynch maim manslaught
marijuana massacr masturb menstru mistress molest mongoloid moron mulatt murder mutilat narcotic
nazi necrophil negr nigg nipple nude nudi nymphoman obscen offensive opium orgasm orgy ovar paedo
pederast pedo penis pervert phall pimp piss porn pregnan prostitut puberty pubic puke racial racis
rape raping rapist rectal rectum redneck redskin retard rifle sadis satan savage scrot seduc semen
sensual sexes sexis sexual sexy shelling shit slaughter slave slur slut smother sodom spastic
sperm strangl stripper striptease strumpet suicid supremac swastika syphil terroris testic tortur
transvest urin uter vagin venere victim violen vomit voyeur vulgar vulva weapon wench whore womb
wound
"""
_WORDS = """
anal anus arse ass blacks brassiere chink chinks cock coon crap cripple crippled dago damn darky
dead deadly death deaths dick die died dies drunk drunkard drunken dung dying dyke fag fags fart
gay gays gook gore grenade gun guns gypsy halfbreed hanged hanging heathen hebe hell heroin homo
honky idiot idiotic intimacy intimate jap japs jew jewess jewish jews kike kraut limey lust midget
missile moslem moslems muslim muslims naked oriental orientals paki polack pricks pussy queer
semite semitic sex spic squaw stab stabbed stabbing stabs teat teats testes tit tits titty tramp
turd vile virgin virgins wog wop wops yid
"""
# fmt: on
_UNFIT = re.compile(
    rf"\b(?:(?:{'|'.join(_BEGINNINGS.split())})\w*|(?:{'|'.join(_WORDS.split())})\b)",
    re.IGNORECASE,
)


def is_fit_to_print(text: str) -> bool:
    """Tell whether nothing in a text should be kept from a picture.

    >>> is_fit_to_print("a small bird with a red breast"), is_fit_to_print("a small red bird")
    (False, True)
    """
    return _UNFIT.search(text) is None
